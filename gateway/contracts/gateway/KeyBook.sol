// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {KeyStates} from "../common/KeyStates.sol";

/// @title Keys, reference strings and switching keys that exist
/// @notice A key's state is one slot: state (8 bits), preset (8), epoch of its generation (64), command that is about to destroy it
/// (64), from the lowest bit up.
abstract contract KeyBook {
    mapping(bytes32 => uint256) public keySlots;
    /// @notice Digest of the certified key record.
    mapping(bytes32 => bytes32) public keyRecords;
    /// @notice The key that encrypts, by preset.
    mapping(uint8 => bytes32) public activeKeys;
    mapping(bytes32 => bytes32) public referenceStrings;
    /// @notice Digest of the switching key from one key to another.
    mapping(bytes32 => mapping(bytes32 => bytes32)) public switchingKeys;
    /// @notice keccak256 of the statement of a party's newest backup of a key.
    mapping(bytes32 => mapping(uint8 => bytes32)) public backups;

    error UnknownKey(bytes32 keyId);
    error KeyExists(bytes32 keyId);
    error ActiveKeyExists(bytes32 keyId);
    error BeingDestroyed(bytes32 keyId);

    function keyState(bytes32 keyId) public view returns (uint8) {
        return uint8(keySlots[keyId]);
    }

    function keyPreset(bytes32 keyId) public view returns (uint8) {
        return uint8(keySlots[keyId] >> 8);
    }

    /// @notice Whether new decryptions may be asked for: from the moment destruction is commanded none are.
    function decrypts(bytes32 keyId) external view returns (bool) {
        uint256 slot = keySlots[keyId];
        return KeyStates.decrypts(uint8(slot)) && slot >> 80 == 0;
    }

    function _requireKey(bytes32 keyId) internal view returns (uint8 state) {
        state = keyState(keyId);
        if (state == KeyStates.NONE) revert UnknownKey(keyId);
    }

    function _addKey(bytes32 keyId, uint8 preset, uint64 epoch, bytes32 record) internal {
        if (keySlots[keyId] != 0) revert KeyExists(keyId);
        keySlots[keyId] = KeyStates.PRE_ACTIVATION | (uint256(preset) << 8) | (uint256(epoch) << 16);
        keyRecords[keyId] = record;
    }

    function _requireMove(bytes32 keyId, uint8 toState) internal view returns (uint8 fromState) {
        fromState = _requireKey(keyId);
        KeyStates.requireTransition(fromState, toState);
        if (keySlots[keyId] >> 80 != 0) revert BeingDestroyed(keyId);
        bytes32 active = activeKeys[keyPreset(keyId)];
        if (toState == KeyStates.ACTIVE && active != 0) revert ActiveKeyExists(active);
    }

    function _move(bytes32 keyId, uint8 toState) internal {
        uint8 preset = keyPreset(keyId);
        keySlots[keyId] = (keySlots[keyId] & ~uint256(0xff)) | toState;
        if (toState == KeyStates.ACTIVE) activeKeys[preset] = keyId;
        else if (activeKeys[preset] == keyId) delete activeKeys[preset];
    }

    function _setDestroying(bytes32 keyId, uint256 commandId) internal {
        keySlots[keyId] = (keySlots[keyId] & ((1 << 80) - 1)) | (commandId << 80);
    }
}
