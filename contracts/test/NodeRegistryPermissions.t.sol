// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {
    IAccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {NodeState} from "../src/types/Node.sol";
import {NodeRegistryFixture} from "./base/NodeRegistryFixture.sol";

/// @notice Who may not do what. That the right caller may is shown in NodeRegistry.t.sol.
contract NodeRegistryPermissionsTest is NodeRegistryFixture {
    // ── what belongs to the operator ──

    function testFuzz_nobodyButTheOperatorRotatesItsKey(address stranger) public {
        uint256 nodeNumber = nodeOfAnother(stranger);
        expectNotOperator(nodeNumber, stranger);
        vm.prank(stranger);
        registry.rotateKey(nodeNumber, SECOND_KEY);
        vm.assertTrue(registry.isAdmitted(FIRST_KEY), "the key stays");
    }

    function testFuzz_nobodyButTheOperatorRetiresItsNode(address stranger) public {
        uint256 nodeNumber = nodeOfAnother(stranger);
        expectNotOperator(nodeNumber, stranger);
        vm.prank(stranger);
        registry.retire(nodeNumber);
    }

    function test_rolesGiveNoPowerOverANodesKeyOrItsLife() public {
        uint256 nodeNumber = nodeIn(NodeState.Registered);
        address[2] memory roleHolders = [admin, suspender];
        for (uint256 index = 0; index < roleHolders.length; index++) {
            expectNotOperator(nodeNumber, roleHolders[index]);
            vm.prank(roleHolders[index]);
            registry.rotateKey(nodeNumber, SECOND_KEY);
            expectNotOperator(nodeNumber, roleHolders[index]);
            vm.prank(roleHolders[index]);
            registry.retire(nodeNumber);
        }
    }

    function test_owningOneNodeGivesNoPowerOverAnother() public {
        address otherOperator = addressOf("other operator");
        registerNode(otherOperator, keccak256("other operator's key"));
        uint256 nodeNumber = nodeOfAnother(otherOperator);
        expectNotOperator(nodeNumber, otherOperator);
        vm.prank(otherOperator);
        registry.rotateKey(nodeNumber, SECOND_KEY);
    }

    // ── what belongs to the suspender ──

    function testFuzz_nobodyButASuspenderSuspends(address stranger) public {
        vm.assume(stranger != suspender);
        uint256 nodeNumber = nodeIn(NodeState.Registered);
        expectMissingRole(stranger, registry.SUSPENDER_ROLE());
        vm.prank(stranger);
        registry.suspend(nodeNumber, REASON);
    }

    function testFuzz_nobodyButASuspenderReinstates(address stranger) public {
        vm.assume(stranger != suspender);
        uint256 nodeNumber = nodeIn(NodeState.Suspended);
        expectMissingRole(stranger, registry.SUSPENDER_ROLE());
        vm.prank(stranger);
        registry.reinstate(nodeNumber, REASON);
    }

    function test_anOperatorCannotReinstateItsOwnNode() public {
        testFuzz_nobodyButASuspenderReinstates(operator);
    }

    function test_theAdminCannotSuspendWithoutTheRole() public {
        testFuzz_nobodyButASuspenderSuspends(admin);
    }

    function test_aSuspenderWhoseRoleIsRevokedCannotSuspend() public {
        uint256 nodeNumber = nodeIn(NodeState.Registered);
        bytes32 role = registry.SUSPENDER_ROLE();
        vm.prank(admin);
        registry.revokeRole(role, suspender);
        expectMissingRole(suspender, role);
        vm.prank(suspender);
        registry.suspend(nodeNumber, REASON);
    }

    // ── what belongs to the admin ──

    function testFuzz_nobodyButTheAdminGrantsOrRevokesRoles(address stranger) public {
        vm.assume(stranger != admin);
        bytes32 role = registry.SUSPENDER_ROLE();
        expectMissingRole(stranger, registry.DEFAULT_ADMIN_ROLE());
        vm.prank(stranger);
        registry.grantRole(role, stranger);
        expectMissingRole(stranger, registry.DEFAULT_ADMIN_ROLE());
        vm.prank(stranger);
        registry.revokeRole(role, suspender);
    }

    function testFuzz_nobodyButTheAdminBeginsAChangeOfAdmin(address stranger) public {
        vm.assume(stranger != admin);
        expectMissingRole(stranger, registry.DEFAULT_ADMIN_ROLE());
        vm.prank(stranger);
        registry.beginDefaultAdminTransfer(stranger);
    }

    function test_aChangeOfAdminWaitsForItsDelay() public {
        address successor = addressOf("successor");
        vm.prank(admin);
        registry.beginDefaultAdminTransfer(successor);
        (, uint48 readyAtSeconds) = registry.pendingDefaultAdmin();
        vm.assertEq(readyAtSeconds, block.timestamp + ADMIN_DELAY_SECONDS, "readyAtSeconds");

        vm.warp(readyAtSeconds);
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControlDefaultAdminRules.AccessControlEnforcedDefaultAdminDelay.selector, readyAtSeconds
            )
        );
        vm.prank(successor);
        registry.acceptDefaultAdminTransfer();

        vm.warp(readyAtSeconds + 1);
        vm.prank(successor);
        registry.acceptDefaultAdminTransfer();
        vm.assertEq(registry.defaultAdmin(), successor, "defaultAdmin");
    }

    function test_aRegistryCannotBeDeployedWithoutAnAdmin() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControlDefaultAdminRules.AccessControlInvalidDefaultAdmin.selector, address(0)
            )
        );
        new NodeRegistry(address(0), ADMIN_DELAY_SECONDS);
    }

    function nodeOfAnother(address stranger) private returns (uint256 nodeNumber) {
        vm.assume(stranger != operator);
        return nodeIn(NodeState.Registered);
    }

    function expectNotOperator(uint256 nodeNumber, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOperator.selector, nodeNumber, caller));
    }

    function expectMissingRole(address account, bytes32 role) private {
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, account, role));
    }
}
