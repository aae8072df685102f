// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../common/Ceremonies.sol";
import {KeyStates} from "../common/KeyStates.sol";
import {Presets} from "../common/Presets.sol";
import {KmsVerifier} from "./KmsVerifier.sol";

/// @title The network's keys as a host chain knows them: by statements of the committee alone
/// @notice Anybody posts what 2t+1 signers of the verifier's epoch signed on the gateway.
contract Keyring {
    using Ceremonies for *;

    struct Key {
        uint8 state;
        uint8 preset;
        /// Command of the newest transition; older ones are never applied again.
        uint256 commandId;
    }

    KmsVerifier public immutable verifier;
    mapping(bytes32 => Key) internal _keys;
    /// @notice Keys by number, from 1; a handle's facts hold the number.
    mapping(uint8 => bytes32) public keyAt;
    mapping(bytes32 => uint8) public numberOf;
    uint8 public keyCount;

    event KeyAdded(bytes32 indexed keyId, uint8 number, uint8 preset);
    event KeyStateChanged(bytes32 indexed keyId, uint8 fromState, uint8 toState);

    error KeyExists(bytes32 keyId);
    error WrongState(bytes32 keyId, uint8 state);

    constructor(KmsVerifier verifier_) {
        verifier = verifier_;
    }

    function keys(bytes32 keyId) external view returns (Key memory) {
        return _keys[keyId];
    }

    function add(Ceremonies.KeyGeneration calldata s, bytes calldata signatures) external {
        if (_keys[s.keyId].state != KeyStates.NONE) revert KeyExists(s.keyId);
        if (!Presets.isKnown(s.preset)) revert Presets.UnknownPreset(s.preset);
        verifier.verify(s.epoch, s.hash(), signatures);
        uint8 number = ++keyCount;
        (keyAt[number], numberOf[s.keyId]) = (s.keyId, number);
        _keys[s.keyId] = Key(KeyStates.PRE_ACTIVATION, s.preset, s.commandId);
        emit KeyAdded(s.keyId, number, s.preset);
    }

    function move(Ceremonies.LifecycleTransition calldata s, bytes calldata signatures) external {
        Key storage key = _keys[s.keyId];
        if (key.state == KeyStates.NONE || key.state != s.fromState || s.commandId <= key.commandId) {
            revert WrongState(s.keyId, key.state);
        }
        KeyStates.requireTransition(s.fromState, s.toState);
        verifier.verify(s.epoch, s.hash(), signatures);
        (key.state, key.commandId) = (s.toState, s.commandId);
        emit KeyStateChanged(s.keyId, s.fromState, s.toState);
    }
}
