// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Node, NodeState} from "../../src/types/Node.sol";
import {NodeRegistryFixture} from "../base/NodeRegistryFixture.sol";
import {NodeRegistryHandler} from "./NodeRegistryHandler.sol";

/// @notice What holds after any sequence of calls by anyone.
contract NodeRegistryInvariants is NodeRegistryFixture {
    NodeRegistryHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new NodeRegistryHandler(registry, suspender);
    }

    /// @notice forge calls this to learn what it may call at random.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_everyRecordIsWhatItsHistoryMadeIt() public view {
        uint256 count = handler.nodeCount();
        vm.assertEq(registry.nodeCount(), count, "nodeCount");
        for (uint256 nodeNumber = 1; nodeNumber <= count; nodeNumber++) {
            assertNode(nodeNumber, handler.nodeOf(nodeNumber));
        }
    }

    function invariant_aKeyBelongsForEverToTheNodeThatHadItFirst() public view {
        for (uint256 index = 0; index < handler.KEYS(); index++) {
            bytes32 publicKey = handler.keyAt(index);
            uint256 holder = handler.holderOf(publicKey);
            if (holder == 0) continue;
            (uint256 nodeNumber,) = registry.nodeByKey(publicKey);
            vm.assertEq(nodeNumber, holder, "nodeNumber");
        }
    }

    function invariant_asManyKeysAreAdmittedAsNodesAreRegistered() public view {
        uint256 admittedKeys = 0;
        for (uint256 index = 0; index < handler.KEYS(); index++) {
            if (registry.isAdmitted(handler.keyAt(index))) admittedKeys++;
        }
        uint256 registeredNodes = 0;
        for (uint256 nodeNumber = 1; nodeNumber <= registry.nodeCount(); nodeNumber++) {
            Node memory node = registry.nodeOf(nodeNumber);
            bool isRegistered = node.state == NodeState.Registered;
            vm.assertEq(registry.isAdmitted(node.publicKey), isRegistered, "admitted exactly while registered");
            if (isRegistered) registeredNodes++;
        }
        vm.assertEq(admittedKeys, registeredNodes, "no other key is admitted");
    }

    function invariant_operatorsCountsAddUpToTheNodesThatHaveNotRetired() public view {
        uint256 retiredNodes = 0;
        for (uint256 nodeNumber = 1; nodeNumber <= registry.nodeCount(); nodeNumber++) {
            if (registry.nodeOf(nodeNumber).state == NodeState.Retired) retiredNodes++;
        }
        uint256 sum = 0;
        address[] memory everyone = handler.everyone();
        for (uint256 index = 0; index < everyone.length; index++) {
            sum += registry.nodeCountOf(everyone[index]);
        }
        vm.assertEq(sum + retiredNodes, registry.nodeCount(), "sum");
    }
}
