// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Node, NodeState} from "../types/Node.sol";

/// @title Who owns which node, under which key, and whether it may serve
/// @notice A node is known by its Ed25519 public key. The registry gives it a number that outlives its keys: a
/// rotation changes the key and leaves the number, the operator and the history.
///
/// A key belongs to one node once for ever: it can't be registered again, rotated to, or handed on, not even after
/// its node has left it. So whatever was signed under a key names one node and one operator at any later time.
///
/// The EVM can't check an Ed25519 signature at a sane price, so a record says who CLAIMS a key, not who holds it.
/// Whoever admits a node asks for both halves: this record, and a hello signed by the key in which the node names
/// the same operator. A stranger who claims a key before its owner does therefore gains nothing by it, and costs
/// the owner one more fresh key.
interface INodeRegistry {
    /// @notice A node was registered by its operator.
    event NodeRegistered(uint256 indexed nodeNumber, address indexed operator, bytes32 indexed publicKey);

    /// @notice A node's key was replaced. `oldPublicKey` admits nobody from here on.
    event NodeKeyRotated(uint256 indexed nodeNumber, bytes32 indexed oldPublicKey, bytes32 indexed newPublicKey);

    /// @notice A node may not serve until it is reinstated. The reason is for its operator to read.
    event NodeSuspended(uint256 indexed nodeNumber, address indexed suspender, string reason);

    /// @notice A suspended node may serve again.
    event NodeReinstated(uint256 indexed nodeNumber, address indexed suspender, string reason);

    /// @notice A node left for good at its operator's wish.
    event NodeRetired(uint256 indexed nodeNumber, address indexed operator);

    /// @notice No node has this number. Numbers begin at 1.
    error UnknownNode(uint256 nodeNumber);

    /// @notice No node was ever registered under this key.
    error UnknownKey(bytes32 publicKey);

    /// @notice Only the node's operator may do this.
    error NotOperator(uint256 nodeNumber, address caller);

    /// @notice The key is, or once was, the key of node `nodeNumber`. Draw a fresh one.
    error KeyAlreadyUsed(bytes32 publicKey, uint256 nodeNumber);

    /// @notice 32 zero bytes are not a key.
    error ZeroKey();

    /// @notice The node must be `required` for this, and it is `actual`.
    error WrongNodeState(uint256 nodeNumber, NodeState actual, NodeState required);

    /// @notice Suspending and reinstating need a reason.
    error EmptyReason();

    /// @notice A reason has at most `maximumBytes` bytes of UTF-8.
    error ReasonTooLong(uint256 lengthBytes, uint256 maximumBytes);

    /// @notice Registers a node as the caller's: `offline` to `registered`.
    /// @param publicKey The node's Ed25519 key, 32 raw bytes. Never used before, else {KeyAlreadyUsed}; not zero,
    /// else {ZeroKey}.
    /// @return nodeNumber The node's number: 1 for the first node, then one more each.
    function register(bytes32 publicKey) external returns (uint256 nodeNumber);

    /// @notice Replaces a node's key. Only its operator, else {NotOperator}. Only while it is registered, else
    /// {WrongNodeState}: a suspended node that changed its key would slip away from what is held against the old one.
    /// @param newPublicKey As in {register}.
    function rotateKey(uint256 nodeNumber, bytes32 newPublicKey) external;

    /// @notice Takes a node out for good: `registered` to `retired`. Only its operator, else {NotOperator}. A
    /// suspended node can't retire ({WrongNodeState}): its suspension stays on record until someone lifts it.
    function retire(uint256 nodeNumber) external;

    /// @notice Bars a node: `registered` to `suspended`. Only a holder of {SUSPENDER_ROLE}.
    /// @param reason 1 to {MAX_REASON_BYTES} bytes of UTF-8, else {EmptyReason} or {ReasonTooLong}.
    function suspend(uint256 nodeNumber, string calldata reason) external;

    /// @notice Lets a suspended node serve again: `suspended` to `registered`. Only a holder of {SUSPENDER_ROLE}.
    /// @param reason As in {suspend}.
    function reinstate(uint256 nodeNumber, string calldata reason) external;

    /// @notice What a router asks at a node's hello: true if the key is the present key of a registered node.
    /// False, never a revert, for a key that is unknown, rotated away, suspended or retired.
    function isAdmitted(bytes32 publicKey) external view returns (bool);

    /// @notice The record of a node. {UnknownNode} where no node has the number.
    function nodeOf(uint256 nodeNumber) external view returns (Node memory);

    /// @notice The node that a key belongs to, or once belonged to: whether it is the present one is told by
    /// `node.publicKey`. {UnknownKey} where the key was never used.
    function nodeByKey(bytes32 publicKey) external view returns (uint256 nodeNumber, Node memory node);

    /// @notice How many nodes of an operator are registered or suspended; retired ones don't count.
    function nodeCountOf(address operator) external view returns (uint256);

    /// @notice How many nodes were ever registered, which is also the highest number given.
    function nodeCount() external view returns (uint256);

    /// @notice Who may suspend and reinstate.
    function SUSPENDER_ROLE() external view returns (bytes32);

    /// @notice The longest reason, in bytes.
    function MAX_REASON_BYTES() external view returns (uint256);
}
