// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {NodeRecords} from "./libraries/NodeRecords.sol";
import {Node} from "./types/Node.sol";

/// @title Registry of nodes
/// @notice Adds permissions and events to {NodeRecords}. The admin grants roles and can do nothing to a node itself;
/// it hands its place on in two steps with a delay, so that neither a slip nor a stolen key moves it at once.
contract NodeRegistry is INodeRegistry, AccessControlDefaultAdminRules {
    using NodeRecords for NodeRecords.Records;

    /// @inheritdoc INodeRegistry
    bytes32 public constant SUSPENDER_ROLE = keccak256("SUSPENDER_ROLE");

    /// @inheritdoc INodeRegistry
    uint256 public constant MAX_REASON_BYTES = 256;

    NodeRecords.Records private _records;

    modifier onlyOperator(uint256 nodeNumber) {
        _requireOperator(nodeNumber);
        _;
    }

    modifier onlyWithReason(string calldata reason) {
        _requireReason(reason);
        _;
    }

    /// @param admin Grants and revokes roles; not zero.
    /// @param adminDelaySeconds How long a change of admin waits between its two steps.
    constructor(address admin, uint48 adminDelaySeconds) AccessControlDefaultAdminRules(adminDelaySeconds, admin) {}

    /// @inheritdoc INodeRegistry
    function register(bytes32 publicKey) external returns (uint256 nodeNumber) {
        nodeNumber = _records.register(msg.sender, publicKey);
        emit NodeRegistered(nodeNumber, msg.sender, publicKey);
    }

    /// @inheritdoc INodeRegistry
    function rotateKey(uint256 nodeNumber, bytes32 newPublicKey) external onlyOperator(nodeNumber) {
        bytes32 oldPublicKey = _records.rotateKey(nodeNumber, newPublicKey);
        emit NodeKeyRotated(nodeNumber, oldPublicKey, newPublicKey);
    }

    /// @inheritdoc INodeRegistry
    function retire(uint256 nodeNumber) external onlyOperator(nodeNumber) {
        _records.retire(nodeNumber);
        emit NodeRetired(nodeNumber, msg.sender);
    }

    /// @inheritdoc INodeRegistry
    function suspend(uint256 nodeNumber, string calldata reason)
        external
        onlyRole(SUSPENDER_ROLE)
        onlyWithReason(reason)
    {
        _records.suspend(nodeNumber);
        emit NodeSuspended(nodeNumber, msg.sender, reason);
    }

    /// @inheritdoc INodeRegistry
    function reinstate(uint256 nodeNumber, string calldata reason)
        external
        onlyRole(SUSPENDER_ROLE)
        onlyWithReason(reason)
    {
        _records.reinstate(nodeNumber);
        emit NodeReinstated(nodeNumber, msg.sender, reason);
    }

    /// @inheritdoc INodeRegistry
    function isAdmitted(bytes32 publicKey) external view returns (bool) {
        return _records.isAdmitted(publicKey);
    }

    /// @inheritdoc INodeRegistry
    function nodeOf(uint256 nodeNumber) external view returns (Node memory) {
        return _records.get(nodeNumber);
    }

    /// @inheritdoc INodeRegistry
    function nodeByKey(bytes32 publicKey) external view returns (uint256 nodeNumber, Node memory node) {
        nodeNumber = _records.numberOf(publicKey);
        node = _records.get(nodeNumber);
    }

    /// @inheritdoc INodeRegistry
    function nodeCountOf(address operator) external view returns (uint256) {
        return _records.countOf[operator];
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() external view returns (uint256) {
        return _records.count;
    }

    function _requireOperator(uint256 nodeNumber) private view {
        if (_records.get(nodeNumber).operator != msg.sender) revert NotOperator(nodeNumber, msg.sender);
    }

    function _requireReason(string calldata reason) private pure {
        uint256 lengthBytes = bytes(reason).length;
        if (lengthBytes == 0) revert EmptyReason();
        if (lengthBytes > MAX_REASON_BYTES) revert ReasonTooLong(lengthBytes, MAX_REASON_BYTES);
    }
}
