// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The part of a node's lifecycle that the chain knows. The states between `registered` and `suspended`
/// (verified, active, pooled, reserved, revalidating) change by the minute and are the router's.
enum NodeState {
    // The zero value, so a node that nobody registered is offline without a write.
    Offline,
    Registered,
    Suspended,
    // Left for good at its operator's wish. No way leads back: coming back is a new node with a new key.
    Retired
}

/// @notice What the registry keeps of one node. Two storage slots.
struct Node {
    address operator;
    // Block time of registration in seconds since the epoch.
    uint64 registeredAtSeconds;
    NodeState state;
    // Ed25519 (RFC 8032), 32 bytes: the key under which the node signs hellos, commits and receipts.
    bytes32 publicKey;
}
