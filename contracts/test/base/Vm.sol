// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The cheatcodes of forge's test machine that these tests use
/// (https://getfoundry.sh/reference/cheatcodes/overview). forge-std would declare them all, but no maintained package
/// carries it.
interface Vm {
    /// @notice The next call comes from `caller`.
    function prank(address caller) external;
    /// @notice Sets the block's time, in seconds since the epoch.
    function warp(uint256 timeSeconds) external;
    /// @notice Names an address in traces.
    function label(address account, string calldata name) external;
    /// @notice Drops this fuzz input where the condition does not hold.
    function assume(bool condition) external pure;
    /// @notice The next call must revert with exactly this data.
    function expectRevert(bytes calldata revertData) external;
    /// @notice The next call must emit the event that the test emits after this line, topics, data and all.
    function expectEmit(address emitter) external;

    function assertTrue(bool condition, string calldata message) external pure;
    function assertFalse(bool condition, string calldata message) external pure;
    function assertEq(uint256 left, uint256 right, string calldata message) external pure;
    function assertEq(address left, address right, string calldata message) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata message) external pure;
    function assertEq(bool left, bool right, string calldata message) external pure;
}
