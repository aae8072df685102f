// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Handles} from "../common/Handles.sol";
import {KeyStates} from "../common/KeyStates.sol";
import {NoiseBound} from "../common/NoiseBound.sol";
import {Presets} from "../common/Presets.sol";
import {Results} from "../common/Results.sol";
import {AccessControl} from "./AccessControl.sol";
import {InputVerifier} from "./InputVerifier.sol";
import {Keyring} from "./Keyring.sol";

/// @title Computing on handles
/// @notice Checks that the caller may use the operands, derives level and noise bound, names the result, grants it to the caller and
/// emits; coprocessors evaluate. What could not be decrypted any more is never named. facts[handle] is one slot:
/// noise bound (240 bits), level (4), kind (4), key number (8), from the lowest bit up.
contract Compute {
    using Results for Results.HandleTransfer;

    uint8 public constant INPUT = 1;
    uint8 public constant ADD = 2;
    uint8 public constant SUB = 3;
    uint8 public constant MUL = 4;
    uint8 public constant ADD_PLAIN = 5;
    uint8 public constant MUL_PLAIN = 6;
    uint8 public constant NEGATE = 7;
    uint8 public constant SWITCH_DOWN = 8;

    struct Operand {
        bytes32 keyId;
        uint8 preset;
        uint8 kind;
        uint8 level;
        uint256 bound;
    }

    AccessControl public immutable accessControl;
    Keyring public immutable keyring;
    InputVerifier public immutable inputs;

    mapping(bytes32 => uint256) public facts;
    /// @notice Whole digest of each derivation; a coprocessor's commitment names it.
    mapping(bytes32 => bytes32) public provenances;
    uint256 public nonce;

    event Computed(bytes32 indexed handle, address indexed caller, bytes32 provenance, Handles.Derivation derivation);
    event HandleAdmitted(bytes32 indexed handle, address indexed account, uint256 originChainId);

    error NotAllowed(bytes32 handle, address caller);
    error UnknownHandle(bytes32 handle);
    error UnknownKind(uint8 kind);
    error DifferentKeys(bytes32 a, bytes32 b);
    error KeyDoesNotEncrypt(bytes32 keyId);
    error KeyDestroyed(bytes32 keyId);
    error BadProof(bytes32 digest);
    error PlaintextTooLarge(uint256 value, uint256 modulus);
    error WrongTransfer(bytes32 handle);

    constructor(AccessControl accessControl_, Keyring keyring_, InputVerifier inputs_) {
        (accessControl, keyring, inputs) = (accessControl_, keyring_, inputs_);
    }

    /// @param digest SHA-256 of the envelope, under the key and of the kind named
    /// @param user on whose behalf the caller brings it
    function input(bytes32 digest, bytes32 keyId, uint8 kind, address user, bytes calldata proof)
        external
        returns (bytes32)
    {
        Keyring.Key memory key = keyring.keys(keyId);
        if (!KeyStates.encrypts(key.state)) revert KeyDoesNotEncrypt(keyId);
        if (kind != Handles.SCALAR && kind != Handles.VECTOR) revert UnknownKind(kind);
        if (!inputs.verifyInput(msg.sender, user, digest, keyId, kind, proof)) revert BadProof(digest);
        Operand memory result = Operand(keyId, key.preset, kind, 0, 0);
        (result.bound, result.level) = NoiseBound.inputBound(key.preset);
        return _derive(INPUT, new bytes32[](0), digest, result);
    }

    function add(bytes32 a, bytes32 b) external returns (bytes32) {
        return _sum(ADD, a, b);
    }

    function sub(bytes32 a, bytes32 b) external returns (bytes32) {
        return _sum(SUB, a, b);
    }

    /// @notice A product, relinearised.
    function mul(bytes32 a, bytes32 b) external returns (bytes32) {
        (Operand memory x, Operand memory y) = _pair(a, b);
        x.bound = NoiseBound.mul(x.preset, x.bound, x.level, y.bound, y.level);
        x.kind = x.kind > y.kind ? x.kind : y.kind;
        return _derive(MUL, _two(a, b), 0, x);
    }

    function addPlain(bytes32 a, uint256 value) external returns (bytes32) {
        Operand memory x = _operand(a);
        _requirePlain(x, value);
        x.bound = NoiseBound.negate(x.preset, x.bound, x.level);
        return _derive(ADD_PLAIN, _one(a), bytes32(value), x);
    }

    /// @param value 1 .. p-1: a product with 0 is no ciphertext
    function mulPlain(bytes32 a, uint256 value) external returns (bytes32) {
        Operand memory x = _operand(a);
        _requirePlain(x, value);
        x.bound = NoiseBound.mulPlain(x.preset, x.bound, x.level, value);
        return _derive(MUL_PLAIN, _one(a), bytes32(value), x);
    }

    function negate(bytes32 a) external returns (bytes32) {
        Operand memory x = _operand(a);
        x.bound = NoiseBound.negate(x.preset, x.bound, x.level);
        return _derive(NEGATE, _one(a), 0, x);
    }

    /// @notice One level down, so that operands of different levels meet.
    function switchDown(bytes32 a) external returns (bytes32) {
        Operand memory x = _operand(a);
        (x.bound, x.level) = NoiseBound.modSwitch(x.preset, x.bound, x.level);
        return _derive(SWITCH_DOWN, _one(a), 0, x);
    }

    /// @notice A handle of another host chain, which the committee attests was granted to an account here. It keeps its name.
    function admit(Results.HandleTransfer calldata s, bytes calldata signatures) external {
        uint8 number = keyring.numberOf(s.keyId);
        bool isRight = s.destinationChainId == block.chainid && s.originChainId != block.chainid && number != 0;
        isRight = isRight && Handles.chainIdOf(s.handle) == s.originChainId && Handles.kindOf(s.handle) == s.kind;
        if (!isRight || s.account == address(0)) revert WrongTransfer(s.handle);
        keyring.verifier().verify(s.epoch, s.hash(), signatures);
        NoiseBound.checkDecryptable(keyring.keys(s.keyId).preset, s.bound, s.level);
        uint256 slot = _slot(number, s.kind, s.level, s.bound);
        if (facts[s.handle] != 0 && facts[s.handle] != slot) revert WrongTransfer(s.handle);
        facts[s.handle] = slot;
        accessControl.admit(s.handle, s.account);
        emit HandleAdmitted(s.handle, s.account, s.originChainId);
    }

    function operandOf(bytes32 handle) public view returns (Operand memory x) {
        uint256 slot = facts[handle];
        if (slot == 0) revert UnknownHandle(handle);
        x.keyId = keyring.keyAt(uint8(slot >> 248));
        Keyring.Key memory key = keyring.keys(x.keyId);
        if (!KeyStates.decrypts(key.state)) revert KeyDestroyed(x.keyId);
        x.preset = key.preset;
        (x.kind, x.level) = (uint8(slot >> 244) & 15, uint8(slot >> 240) & 15);
        x.bound = slot & ((1 << 240) - 1);
    }

    function _sum(uint8 operation, bytes32 a, bytes32 b) private returns (bytes32) {
        (Operand memory x, Operand memory y) = _pair(a, b);
        x.bound = NoiseBound.add(x.preset, x.bound, x.level, y.bound, y.level);
        x.kind = x.kind > y.kind ? x.kind : y.kind;
        return _derive(operation, _two(a, b), 0, x);
    }

    function _operand(bytes32 handle) private view returns (Operand memory) {
        if (!accessControl.isAllowed(handle, msg.sender)) revert NotAllowed(handle, msg.sender);
        return operandOf(handle);
    }

    function _pair(bytes32 a, bytes32 b) private view returns (Operand memory x, Operand memory y) {
        (x, y) = (_operand(a), _operand(b));
        if (x.keyId != y.keyId) revert DifferentKeys(x.keyId, y.keyId);
    }

    function _requirePlain(Operand memory x, uint256 value) private pure {
        uint256 modulus = Presets.get(x.preset).plainModulus;
        if (value >= modulus) revert PlaintextTooLarge(value, modulus);
    }

    function _derive(uint8 operation, bytes32[] memory of_, bytes32 argument, Operand memory x)
        private
        returns (bytes32 handle)
    {
        Handles.Derivation memory d;
        (d.operation, d.inputs, d.argument) = (operation, of_, argument);
        (d.keyId, d.kind, d.level, d.bound) = (x.keyId, x.kind, x.level, x.bound);
        (d.chainId, d.compute, d.nonce) = (block.chainid, address(this), ++nonce);
        bytes32 provenance = Handles.provenance(d);
        handle = Handles.derive(provenance, block.chainid, x.kind);
        facts[handle] = _slot(keyring.numberOf(x.keyId), x.kind, x.level, x.bound);
        provenances[handle] = provenance;
        accessControl.register(handle, msg.sender);
        emit Computed(handle, msg.sender, provenance, d);
    }

    function _slot(uint8 number, uint8 kind, uint8 level, uint256 bound) private pure returns (uint256) {
        return (uint256(number) << 248) | (uint256(kind) << 244) | (uint256(level) << 240) | bound;
    }

    function _one(bytes32 a) private pure returns (bytes32[] memory of_) {
        of_ = new bytes32[](1);
        of_[0] = a;
    }

    function _two(bytes32 a, bytes32 b) private pure returns (bytes32[] memory of_) {
        of_ = new bytes32[](2);
        (of_[0], of_[1]) = (a, b);
    }
}
