// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry} from "../../src/interfaces/INodeRegistry.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {Node, NodeState} from "../../src/types/Node.sol";
import {ForgeTest} from "../base/ForgeTest.sol";

/// @notice Does random things to a registry as random people, legal and illegal ones, and keeps its own books of what
/// must have come of it. Each action decides from the books alone whether it is legal, and fails where the registry
/// thinks otherwise.
contract NodeRegistryHandler is ForgeTest {
    /// @notice Few enough keys that the same one is asked for again and again.
    uint256 public constant KEYS = 24;

    NodeRegistry private immutable registry;
    address private immutable suspender;
    address[] private people;
    Node[] private books;
    mapping(bytes32 publicKey => uint256 nodeNumber) public holderOf;

    constructor(NodeRegistry registryToTest, address suspenderOfRegistry) {
        registry = registryToTest;
        suspender = suspenderOfRegistry;
        people = [addressOf("ada"), addressOf("ben"), addressOf("cy"), suspenderOfRegistry];
    }

    // ── actions ──

    function register(uint256 personSeed, uint256 keySeed) external {
        address person = people[personSeed % people.length];
        bytes32 publicKey = keyAt(keySeed);
        bool isLegal = publicKey != 0 && holderOf[publicKey] == 0;
        attempt(person, abi.encodeCall(INodeRegistry.register, (publicKey)), isLegal);
        if (!isLegal) return;
        books.push(Node(person, uint64(block.timestamp), NodeState.Registered, publicKey));
        holderOf[publicKey] = books.length;
    }

    function rotateKey(uint256 personSeed, uint256 nodeSeed, uint256 keySeed) external {
        uint256 nodeNumber = anyNumber(nodeSeed);
        address person = operatorOrAnyone(personSeed, nodeNumber);
        bytes32 publicKey = keyAt(keySeed);
        bool isLegal = isOwnedIn(nodeNumber, person, NodeState.Registered) && publicKey != 0 && holderOf[publicKey] == 0;
        attempt(person, abi.encodeCall(INodeRegistry.rotateKey, (nodeNumber, publicKey)), isLegal);
        if (!isLegal) return;
        books[nodeNumber - 1].publicKey = publicKey;
        holderOf[publicKey] = nodeNumber;
    }

    function retire(uint256 personSeed, uint256 nodeSeed) external {
        uint256 nodeNumber = anyNumber(nodeSeed);
        address person = operatorOrAnyone(personSeed, nodeNumber);
        bool isLegal = isOwnedIn(nodeNumber, person, NodeState.Registered);
        attempt(person, abi.encodeCall(INodeRegistry.retire, (nodeNumber)), isLegal);
        if (isLegal) books[nodeNumber - 1].state = NodeState.Retired;
    }

    function suspend(uint256 personSeed, uint256 nodeSeed) external {
        uint256 nodeNumber = anyNumber(nodeSeed);
        address person = suspenderOrAnyone(personSeed);
        bool isLegal = person == suspender && isIn(nodeNumber, NodeState.Registered);
        attempt(person, abi.encodeCall(INodeRegistry.suspend, (nodeNumber, "reason")), isLegal);
        if (isLegal) books[nodeNumber - 1].state = NodeState.Suspended;
    }

    function reinstate(uint256 personSeed, uint256 nodeSeed) external {
        uint256 nodeNumber = anyNumber(nodeSeed);
        address person = suspenderOrAnyone(personSeed);
        bool isLegal = person == suspender && isIn(nodeNumber, NodeState.Suspended);
        attempt(person, abi.encodeCall(INodeRegistry.reinstate, (nodeNumber, "reason")), isLegal);
        if (isLegal) books[nodeNumber - 1].state = NodeState.Registered;
    }

    // ── the books ──

    /// @notice What node `nodeNumber` must be; 1 to {nodeCount}.
    function nodeOf(uint256 nodeNumber) external view returns (Node memory) {
        return books[nodeNumber - 1];
    }

    function nodeCount() external view returns (uint256) {
        return books.length;
    }

    /// @notice Everyone who ever asked for anything.
    function everyone() external view returns (address[] memory) {
        return people;
    }

    /// @notice One of {KEYS} keys, among them the one of zero bytes.
    function keyAt(uint256 seed) public pure returns (bytes32) {
        uint256 index = seed % KEYS;
        return index == 0 ? bytes32(0) : keccak256(abi.encode("key", index));
    }

    // ── drawing ──

    function attempt(address person, bytes memory callData, bool isLegal) private {
        vm.prank(person);
        (bool isDone,) = address(registry).call(callData);
        vm.assertEq(isDone, isLegal, "the registry and the books disagree on whether this is legal");
    }

    /// @dev Also 0 and the number after the last, which are no nodes.
    function anyNumber(uint256 seed) private view returns (uint256) {
        return seed % (books.length + 2);
    }

    /// @dev Three times of four the one who may, else illegal calls would be nearly all of them.
    function operatorOrAnyone(uint256 seed, uint256 nodeNumber) private view returns (address) {
        bool isNode = nodeNumber > 0 && nodeNumber <= books.length;
        if (isNode && seed % 4 != 0) return books[nodeNumber - 1].operator;
        return people[(seed / 4) % people.length];
    }

    function suspenderOrAnyone(uint256 seed) private view returns (address) {
        return seed % 4 != 0 ? suspender : people[(seed / 4) % people.length];
    }

    function isIn(uint256 nodeNumber, NodeState state) private view returns (bool) {
        return nodeNumber > 0 && nodeNumber <= books.length && books[nodeNumber - 1].state == state;
    }

    function isOwnedIn(uint256 nodeNumber, address person, NodeState state) private view returns (bool) {
        return isIn(nodeNumber, state) && books[nodeNumber - 1].operator == person;
    }
}
