// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Handles} from "../common/Handles.sol";
import {KeyStates} from "../common/KeyStates.sol";
import {NoiseBound} from "../common/NoiseBound.sol";
import {Presets} from "../common/Presets.sol";
import {Quorum} from "../common/Quorum.sol";
import {Keys} from "./Keys.sol";
import {Registry} from "./Registry.sol";

/// @title Which bytes a handle names, and who may use it, as a strict majority of coprocessors saw it
/// @notice The majority is trusted for the evaluation. Access is only mirrored here, as a first filter: enclaves prove the host chain's own
/// slot. A coprocessor votes once per subject; a different vote by anybody is kept as evidence.
contract Ciphertexts {
    struct Ciphertext {
        bytes32 handle;
        bytes32 keyId;
        /// SHA-256 of the envelope.
        bytes32 digest;
        uint8 kind;
        uint8 level;
        uint256 bound;
        /// Handles.provenance of the derivation.
        bytes32 provenance;
    }

    /// @notice As in the host chain's AccessControl; account 0 is everybody. The version counts changes.
    struct Access {
        bytes32 handle;
        uint256 hostChainId;
        address account;
        uint64 version;
        bool allowed;
    }

    struct Facts {
        bytes32 keyId;
        uint8 level;
        uint8 kind;
    }

    Registry public immutable registry;
    Keys public immutable keys;

    /// @notice keccak256 of all fields of the ciphertext that a majority committed.
    mapping(bytes32 => bytes32) public commitments;
    mapping(bytes32 => Facts) internal _facts;
    /// @notice Handle => host chain => account => version << 1 | allowed, as mirrored.
    mapping(bytes32 => mapping(uint256 => mapping(address => uint256))) public access;
    /// @dev Subject => coprocessor index => what it said, by set version within the subject.
    mapping(bytes32 => mapping(uint8 => bytes32)) internal _said;
    mapping(bytes32 => mapping(bytes32 => uint256)) internal _votes;
    mapping(bytes32 => bytes32) internal _first;
    /// @notice Evidence: the first statement about a handle that differed from another one. 0 while all agree.
    mapping(bytes32 => bytes32) public conflicts;

    event CiphertextSeen(bytes32 indexed handle, address indexed coprocessor, bytes32 commitment);
    event CiphertextCommitted(bytes32 indexed handle, Ciphertext ciphertext);
    event AccessMirrored(
        bytes32 indexed handle, uint256 indexed hostChainId, address indexed account, uint64 version, bool allowed
    );
    event ConflictingStatements(bytes32 indexed subject, address indexed coprocessor, bytes32 first, bytes32 second);

    error NotACoprocessor(address account);
    error BadCiphertext(bytes32 handle);

    constructor(Registry of_, Keys keys_) {
        registry = of_;
        keys = keys_;
    }

    /// @notice Idempotent: what is said again or too late changes nothing.
    function commit(Ciphertext[] calldata ciphertexts, Access[] calldata grants) external {
        uint8 index = registry.coprocessorIndex(msg.sender);
        if (index == 0) revert NotACoprocessor(msg.sender);
        for (uint256 i; i < ciphertexts.length; ++i) _commit(index, ciphertexts[i]);
        for (uint256 i; i < grants.length; ++i) _mirror(index, grants[i]);
    }

    /// @notice What requests check: key, and size in bytes of the residues. Reverts for a handle without commitment.
    function facts(bytes32 handle) external view returns (bytes32 keyId, uint256 sizeBytes, uint8 kind) {
        Facts memory f = _facts[handle];
        if (f.keyId == 0) revert BadCiphertext(handle);
        return (f.keyId, Presets.ciphertextBytes(keys.keyPreset(f.keyId), f.level), f.kind);
    }

    function isAllowed(bytes32 handle, uint256 hostChainId, address account) external view returns (bool) {
        return access[handle][hostChainId][account] & 1 == 1 || isPublic(handle, hostChainId);
    }

    function isPublic(bytes32 handle, uint256 hostChainId) public view returns (bool) {
        return access[handle][hostChainId][address(0)] & 1 == 1;
    }

    function _commit(uint8 index, Ciphertext calldata c) private {
        _requireGood(c);
        bytes32 value = keccak256(abi.encode(c));
        emit CiphertextSeen(c.handle, msg.sender, value);
        if (!_vote(index, c.handle, value) || commitments[c.handle] != 0) return;
        commitments[c.handle] = value;
        _facts[c.handle] = Facts(c.keyId, c.level, c.kind);
        emit CiphertextCommitted(c.handle, c);
    }

    function _mirror(uint8 index, Access calldata a) private {
        bytes32 subject = keccak256(abi.encode(a.handle, a.hostChainId, a.account, a.version));
        uint256 value = (uint256(a.version) << 1) | (a.allowed ? 1 : 0);
        // A grant and a revocation under one version: no majority holds both.
        if (!_vote(index, subject, bytes32(value + 1))) return;
        if (a.version <= access[a.handle][a.hostChainId][a.account] >> 1) return;
        access[a.handle][a.hostChainId][a.account] = value;
        emit AccessMirrored(a.handle, a.hostChainId, a.account, a.version, a.allowed);
    }

    function _requireGood(Ciphertext calldata c) private view {
        Handles.requireForm(c.handle);
        uint8 preset = keys.keyPreset(c.keyId);
        bool isGood = c.digest != 0 && c.kind == Handles.kindOf(c.handle);
        isGood = isGood && Handles.derive(c.provenance, Handles.chainIdOf(c.handle), c.kind) == c.handle;
        if (!isGood || !KeyStates.decrypts(keys.keyState(c.keyId))) revert BadCiphertext(c.handle);
        NoiseBound.checkDecryptable(preset, c.bound, c.level);
    }

    /// @return whether a strict majority of the present set says this
    function _vote(uint8 index, bytes32 subject, bytes32 value) private returns (bool) {
        bytes32 first = _first[subject];
        if (first == 0) {
            _first[subject] = value;
        } else if (first != value) {
            if (conflicts[subject] == 0) conflicts[subject] = value;
            emit ConflictingStatements(subject, msg.sender, first, value);
        }
        bytes32 ballot = keccak256(abi.encode(registry.coprocessorVersion(), subject));
        if (_said[ballot][index] != 0 && _said[ballot][index] != value) return false;
        _said[ballot][index] = value;
        uint256 votes = _votes[ballot][value] | (uint256(1) << (index - 1));
        _votes[ballot][value] = votes;
        return 2 * Quorum.size(votes) > registry.coprocessorCount();
    }
}
