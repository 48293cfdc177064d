// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Node, NodeState} from "../src/types/Node.sol";
import {NodeRegistryFixture} from "./base/NodeRegistryFixture.sol";

contract NodeRegistryTest is NodeRegistryFixture {
    // ── register ──

    function test_registeringWritesTheNodeAndSaysSo() public {
        vm.warp(1_800_000_000);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeRegistered(1, operator, FIRST_KEY);
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);

        vm.assertEq(nodeNumber, 1, "the first node is number 1");
        assertNode(nodeNumber, Node(operator, 1_800_000_000, NodeState.Registered, FIRST_KEY));
        vm.assertTrue(registry.isAdmitted(FIRST_KEY), "a registered key is admitted");
    }

    function testFuzz_nodesAreNumberedOneByOneWhoeverRegistersThem(address first, address second) public {
        vm.assertEq(registerNode(first, FIRST_KEY), 1, "first");
        vm.assertEq(registerNode(second, SECOND_KEY), 2, "second");
        vm.assertEq(registry.nodeCount(), 2, "nodeCount");
        vm.assertEq(registry.nodeCountOf(first), first == second ? 2 : 1, "nodeCountOf");
    }

    function testFuzz_aKeyThatANodeHasCannotBeRegisteredAgain(bytes32 publicKey, address other) public {
        vm.assume(publicKey != 0);
        registerNode(operator, publicKey);
        expectKeyAlreadyUsed(publicKey, 1);
        registerNode(other, publicKey);
        expectKeyAlreadyUsed(publicKey, 1);
        registerNode(operator, publicKey);
        vm.assertEq(registry.nodeCount(), 1, "a refused registration takes no number");
    }

    function testFuzz_aKeyThatANodeHasLeftCannotBeRegisteredAgain(address other) public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        rotate(nodeNumber, SECOND_KEY);
        expectKeyAlreadyUsed(FIRST_KEY, nodeNumber);
        registerNode(other, FIRST_KEY);
    }

    function testFuzz_theKeyOfARetiredNodeCannotBeRegisteredAgain(address other) public {
        uint256 nodeNumber = nodeIn(NodeState.Retired);
        expectKeyAlreadyUsed(FIRST_KEY, nodeNumber);
        registerNode(other, FIRST_KEY);
    }

    function test_zeroBytesAreNoKey() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ZeroKey.selector));
        registerNode(operator, bytes32(0));
    }

    // ── rotateKey ──

    function test_rotatingReplacesTheKeyAndKeepsTheNode() public {
        vm.warp(1_800_000_000);
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        vm.warp(1_900_000_000);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeKeyRotated(nodeNumber, FIRST_KEY, SECOND_KEY);
        rotate(nodeNumber, SECOND_KEY);

        assertNode(nodeNumber, Node(operator, 1_800_000_000, NodeState.Registered, SECOND_KEY));
        vm.assertTrue(registry.isAdmitted(SECOND_KEY), "the new key is admitted");
        vm.assertFalse(registry.isAdmitted(FIRST_KEY), "the old key is not");
        vm.assertEq(registry.nodeCountOf(operator), 1, "no node was added");
    }

    function test_aKeyThatWasRotatedAwayStillLeadsToItsNode() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        rotate(nodeNumber, SECOND_KEY);
        (uint256 found, Node memory node) = registry.nodeByKey(FIRST_KEY);
        vm.assertEq(found, nodeNumber, "nodeNumber");
        vm.assertEq(node.publicKey, SECOND_KEY, "and the record shows the present key");
    }

    function test_aNodeCannotRotateToAKeyThatAnyNodeEverHad() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        registerNode(operator, SECOND_KEY);
        expectKeyAlreadyUsed(SECOND_KEY, 2);
        rotate(nodeNumber, SECOND_KEY);
        expectKeyAlreadyUsed(FIRST_KEY, nodeNumber);
        rotate(nodeNumber, FIRST_KEY);

        rotate(nodeNumber, keccak256("third key"));
        expectKeyAlreadyUsed(FIRST_KEY, nodeNumber);
        rotate(nodeNumber, FIRST_KEY);
    }

    function test_aNodeCannotRotateToZeroBytes() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ZeroKey.selector));
        rotate(nodeNumber, bytes32(0));
    }

    function test_aSuspendedNodeCannotSlipAwayUnderANewKey() public {
        uint256 nodeNumber = nodeIn(NodeState.Suspended);
        expectWrongState(nodeNumber, NodeState.Suspended, NodeState.Registered);
        rotate(nodeNumber, SECOND_KEY);
    }

    function test_aRetiredNodeCannotRotate() public {
        uint256 nodeNumber = nodeIn(NodeState.Retired);
        expectWrongState(nodeNumber, NodeState.Retired, NodeState.Registered);
        rotate(nodeNumber, SECOND_KEY);
    }

    // ── suspend and reinstate ──

    function test_suspendingBarsTheNodeAndSaysWhy() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeSuspended(nodeNumber, suspender, REASON);
        suspend(nodeNumber, REASON);

        vm.assertEq(uint256(registry.nodeOf(nodeNumber).state), uint256(NodeState.Suspended), "state");
        vm.assertFalse(registry.isAdmitted(FIRST_KEY), "a suspended key is not admitted");
        vm.assertEq(registry.nodeCountOf(operator), 1, "a suspended node still counts");
    }

    function test_reinstatingAdmitsTheNodeAgainAndSaysWhy() public {
        uint256 nodeNumber = nodeIn(NodeState.Suspended);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeReinstated(nodeNumber, suspender, "the checks were in error");
        reinstate(nodeNumber, "the checks were in error");

        vm.assertTrue(registry.isAdmitted(FIRST_KEY), "a reinstated key is admitted");
        rotate(nodeNumber, SECOND_KEY);
    }

    function test_aNodeIsSuspendedOnceAtATime() public {
        uint256 nodeNumber = nodeIn(NodeState.Suspended);
        expectWrongState(nodeNumber, NodeState.Suspended, NodeState.Registered);
        suspend(nodeNumber, REASON);
    }

    function test_onlyASuspendedNodeCanBeReinstated() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        expectWrongState(nodeNumber, NodeState.Registered, NodeState.Suspended);
        reinstate(nodeNumber, REASON);
        retire(nodeNumber);
        expectWrongState(nodeNumber, NodeState.Retired, NodeState.Suspended);
        reinstate(nodeNumber, REASON);
    }

    function test_aRetiredNodeCannotBeSuspended() public {
        uint256 nodeNumber = nodeIn(NodeState.Retired);
        expectWrongState(nodeNumber, NodeState.Retired, NodeState.Registered);
        suspend(nodeNumber, REASON);
    }

    function test_aSuspensionAndItsEndNeedAReason() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.EmptyReason.selector));
        suspend(nodeNumber, "");
        suspend(nodeNumber, REASON);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.EmptyReason.selector));
        reinstate(nodeNumber, "");
    }

    function test_aReasonMayBeAsLongAsTheLimitAndNoLonger() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        uint256 maximumBytes = registry.MAX_REASON_BYTES();
        bytes memory tooLong =
            abi.encodeWithSelector(INodeRegistry.ReasonTooLong.selector, maximumBytes + 1, maximumBytes);

        vm.expectRevert(tooLong);
        suspend(nodeNumber, string(new bytes(maximumBytes + 1)));
        suspend(nodeNumber, string(new bytes(maximumBytes)));
        vm.expectRevert(tooLong);
        reinstate(nodeNumber, string(new bytes(maximumBytes + 1)));
    }

    // ── retire ──

    function test_retiringTakesTheNodeOutForGoodAndSaysSo() public {
        uint256 nodeNumber = registerNode(operator, FIRST_KEY);
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeRetired(nodeNumber, operator);
        retire(nodeNumber);

        vm.assertEq(uint256(registry.nodeOf(nodeNumber).state), uint256(NodeState.Retired), "state");
        vm.assertFalse(registry.isAdmitted(FIRST_KEY), "a retired key is not admitted");
        vm.assertEq(registry.nodeCountOf(operator), 0, "a retired node no longer counts");
        vm.assertEq(registry.nodeCount(), 1, "and keeps its number");

        expectWrongState(nodeNumber, NodeState.Retired, NodeState.Registered);
        retire(nodeNumber);
    }

    function test_aSuspendedNodeCannotRetireFromItsSuspension() public {
        uint256 nodeNumber = nodeIn(NodeState.Suspended);
        expectWrongState(nodeNumber, NodeState.Suspended, NodeState.Registered);
        retire(nodeNumber);
    }

    // ── what nobody registered ──

    function testFuzz_aNumberThatWasNotGivenIsNoNode(uint256 nodeNumber) public {
        vm.assume(nodeNumber != 1);
        registerNode(operator, FIRST_KEY);
        bytes memory unknown = abi.encodeWithSelector(INodeRegistry.UnknownNode.selector, nodeNumber);

        vm.expectRevert(unknown);
        registry.nodeOf(nodeNumber);
        vm.expectRevert(unknown);
        rotate(nodeNumber, SECOND_KEY);
        vm.expectRevert(unknown);
        retire(nodeNumber);
        vm.expectRevert(unknown);
        suspend(nodeNumber, REASON);
        vm.expectRevert(unknown);
        reinstate(nodeNumber, REASON);
    }

    function testFuzz_aKeyThatNobodyRegisteredIsNotAdmitted(bytes32 publicKey) public {
        vm.assume(publicKey != FIRST_KEY);
        registerNode(operator, FIRST_KEY);
        vm.assertFalse(registry.isAdmitted(publicKey), "unknown key");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.UnknownKey.selector, publicKey));
        registry.nodeByKey(publicKey);
    }

    function expectKeyAlreadyUsed(bytes32 publicKey, uint256 nodeNumber) private {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.KeyAlreadyUsed.selector, publicKey, nodeNumber));
    }

    function rotate(uint256 nodeNumber, bytes32 newPublicKey) private {
        vm.prank(operator);
        registry.rotateKey(nodeNumber, newPublicKey);
    }

    function retire(uint256 nodeNumber) private {
        vm.prank(operator);
        registry.retire(nodeNumber);
    }

    function suspend(uint256 nodeNumber, string memory reason) private {
        vm.prank(suspender);
        registry.suspend(nodeNumber, reason);
    }

    function reinstate(uint256 nodeNumber, string memory reason) private {
        vm.prank(suspender);
        registry.reinstate(nodeNumber, reason);
    }
}
