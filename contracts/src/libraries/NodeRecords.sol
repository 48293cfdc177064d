// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {Node, NodeState} from "../types/Node.sol";

/// @notice The records of all nodes and every legal change to them. Who may ask for a change is the registry's to
/// say; errors are documented in {INodeRegistry}.
library NodeRecords {
    struct Records {
        // Also the last number given: numbers begin at 1, so that 0 means "no node".
        uint256 count;
        mapping(uint256 nodeNumber => Node) nodes;
        // Entries are never removed: that is what makes a key belong to one node for ever.
        mapping(bytes32 publicKey => uint256 nodeNumber) nodeNumberOf;
        mapping(address operator => uint256 count) countOf;
    }

    /// @notice Writes a new node, `offline → registered`, and gives its number.
    function register(Records storage self, address operator, bytes32 publicKey) internal returns (uint256 nodeNumber) {
        nodeNumber = ++self.count;
        _bindKey(self, nodeNumber, publicKey);
        self.countOf[operator]++;
        self.nodes[nodeNumber] = Node({
            operator: operator,
            registeredAtSeconds: uint64(block.timestamp),
            state: NodeState.Registered,
            publicKey: publicKey
        });
    }

    /// @notice Replaces the key of a registered node and gives the old one.
    function rotateKey(Records storage self, uint256 nodeNumber, bytes32 newPublicKey)
        internal
        returns (bytes32 oldPublicKey)
    {
        Node storage node = _nodeIn(self, nodeNumber, NodeState.Registered);
        _bindKey(self, nodeNumber, newPublicKey);
        oldPublicKey = node.publicKey;
        node.publicKey = newPublicKey;
    }

    /// @notice `registered → suspended`
    function suspend(Records storage self, uint256 nodeNumber) internal {
        _nodeIn(self, nodeNumber, NodeState.Registered).state = NodeState.Suspended;
    }

    /// @notice `suspended → registered`
    function reinstate(Records storage self, uint256 nodeNumber) internal {
        _nodeIn(self, nodeNumber, NodeState.Suspended).state = NodeState.Registered;
    }

    /// @notice `registered → retired`
    function retire(Records storage self, uint256 nodeNumber) internal {
        Node storage node = _nodeIn(self, nodeNumber, NodeState.Registered);
        node.state = NodeState.Retired;
        self.countOf[node.operator]--;
    }

    /// @notice The record of a node that exists.
    function get(Records storage self, uint256 nodeNumber) internal view returns (Node storage node) {
        node = self.nodes[nodeNumber];
        if (node.state == NodeState.Offline) revert INodeRegistry.UnknownNode(nodeNumber);
    }

    /// @notice The number of the node that ever had a key.
    function numberOf(Records storage self, bytes32 publicKey) internal view returns (uint256 nodeNumber) {
        nodeNumber = self.nodeNumberOf[publicKey];
        if (nodeNumber == 0) revert INodeRegistry.UnknownKey(publicKey);
    }

    /// @notice True if the key is the present key of a registered node.
    function isAdmitted(Records storage self, bytes32 publicKey) internal view returns (bool) {
        Node storage node = self.nodes[self.nodeNumberOf[publicKey]];
        // An unknown key leads to node 0, which is never written and so is offline.
        return node.state == NodeState.Registered && node.publicKey == publicKey;
    }

    function _bindKey(Records storage self, uint256 nodeNumber, bytes32 publicKey) private {
        if (publicKey == bytes32(0)) revert INodeRegistry.ZeroKey();
        uint256 holder = self.nodeNumberOf[publicKey];
        if (holder != 0) revert INodeRegistry.KeyAlreadyUsed(publicKey, holder);
        self.nodeNumberOf[publicKey] = nodeNumber;
    }

    function _nodeIn(Records storage self, uint256 nodeNumber, NodeState required)
        private
        view
        returns (Node storage node)
    {
        node = get(self, nodeNumber);
        if (node.state != required) revert INodeRegistry.WrongNodeState(nodeNumber, node.state, required);
    }
}
