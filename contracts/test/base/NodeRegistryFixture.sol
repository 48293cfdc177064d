// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {Node, NodeState} from "../../src/types/Node.sol";
import {ForgeTest} from "./ForgeTest.sol";

/// @notice A registry with an admin, one suspender and nobody registered.
abstract contract NodeRegistryFixture is ForgeTest {
    uint48 internal constant ADMIN_DELAY_SECONDS = 2 days;
    bytes32 internal constant FIRST_KEY = keccak256("first key");
    bytes32 internal constant SECOND_KEY = keccak256("second key");
    string internal constant REASON = "answers failed three prefill checks";

    address internal admin = addressOf("admin");
    address internal suspender = addressOf("suspender");
    address internal operator = addressOf("operator");
    NodeRegistry internal registry;

    function setUp() public virtual {
        registry = new NodeRegistry(admin, ADMIN_DELAY_SECONDS);
        bytes32 role = registry.SUSPENDER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, suspender);
    }

    function registerNode(address nodeOperator, bytes32 publicKey) internal returns (uint256 nodeNumber) {
        vm.prank(nodeOperator);
        return registry.register(publicKey);
    }

    /// @notice A node of {operator} under {FIRST_KEY}, moved to `state` on the legal way.
    function nodeIn(NodeState state) internal returns (uint256 nodeNumber) {
        nodeNumber = registerNode(operator, FIRST_KEY);
        if (state == NodeState.Suspended) {
            vm.prank(suspender);
            registry.suspend(nodeNumber, REASON);
        } else if (state == NodeState.Retired) {
            vm.prank(operator);
            registry.retire(nodeNumber);
        }
    }

    function assertNode(uint256 nodeNumber, Node memory expected) internal view {
        Node memory node = registry.nodeOf(nodeNumber);
        vm.assertEq(node.operator, expected.operator, "operator");
        vm.assertEq(node.registeredAtSeconds, expected.registeredAtSeconds, "registeredAtSeconds");
        vm.assertEq(uint256(node.state), uint256(expected.state), "state");
        vm.assertEq(node.publicKey, expected.publicKey, "publicKey");
    }

    function expectWrongState(uint256 nodeNumber, NodeState actual, NodeState required) internal {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.WrongNodeState.selector, nodeNumber, actual, required));
    }
}
