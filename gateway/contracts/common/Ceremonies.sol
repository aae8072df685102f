// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Typed data (EIP-712) of commands
/// @notice What nodes sign about keys, reference strings, backups and recoveries. Twin: shared/gateway/typed-data.ts.
library Ceremonies {
    /// @notice A key exists: its record has this digest.
    struct KeyGeneration {
        uint256 commandId;
        bytes32 keyId;
        uint8 preset;
        uint64 epoch;
        bytes32 recordDigest;
    }

    /// @notice A common reference string exists.
    struct CrsGeneration {
        uint256 commandId;
        bytes32 crsId;
        uint32 size;
        uint64 epoch;
        uint256 contributors;
        bytes32 digest;
    }

    /// @notice A public key that carries ciphertexts from one key to another.
    struct SwitchingKey {
        uint256 commandId;
        bytes32 fromKey;
        bytes32 toKey;
        uint64 epoch;
        bytes32 digest;
    }

    /// @notice A key went from one state to the next; for destruction, the signer erased.
    struct LifecycleTransition {
        uint256 commandId;
        bytes32 keyId;
        uint8 fromState;
        uint8 toState;
        uint64 epoch;
    }

    /// @notice One party's fragments of a key are with the custodians.
    struct Backup {
        uint256 commandId;
        bytes32 keyId;
        uint64 epoch;
        uint8 party;
        bytes32 custodians;
        bytes32 digest;
    }

    /// @notice A party's shares were restored to a new identity; the old one is revoked.
    struct Recovery {
        uint256 commandId;
        uint64 epoch;
        uint8 party;
        bytes32 oldIdentity;
        bytes32 newIdentity;
        bytes32 keysHash;
        bytes32 custodians;
    }

    bytes32 internal constant KEY_GENERATION = keccak256(
        "KeyGeneration(uint256 commandId,bytes32 keyId,uint8 preset,uint64 epoch,bytes32 recordDigest)"
    );

    bytes32 internal constant CRS_GENERATION = keccak256(
        "CrsGeneration(uint256 commandId,bytes32 crsId,uint32 size,uint64 epoch,uint256 contributors,"
        "bytes32 digest)"
    );

    bytes32 internal constant SWITCHING_KEY = keccak256(
        "SwitchingKey(uint256 commandId,bytes32 fromKey,bytes32 toKey,uint64 epoch,bytes32 digest)"
    );

    bytes32 internal constant LIFECYCLE_TRANSITION = keccak256(
        "LifecycleTransition(uint256 commandId,bytes32 keyId,uint8 fromState,uint8 toState,uint64 epoch)"
    );

    bytes32 internal constant BACKUP = keccak256(
        "Backup(uint256 commandId,bytes32 keyId,uint64 epoch,uint8 party,bytes32 custodians,bytes32 digest)"
    );

    bytes32 internal constant RECOVERY = keccak256(
        "Recovery(uint256 commandId,uint64 epoch,uint8 party,bytes32 oldIdentity,bytes32 newIdentity,"
        "bytes32 keysHash,bytes32 custodians)"
    );

    function hash(KeyGeneration memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(KEY_GENERATION, s));
    }

    function hash(CrsGeneration memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(CRS_GENERATION, s));
    }

    function hash(SwitchingKey memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(SWITCHING_KEY, s));
    }

    function hash(LifecycleTransition memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(LIFECYCLE_TRANSITION, s));
    }

    function hash(Backup memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(BACKUP, s));
    }

    function hash(Recovery memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECOVERY, s));
    }
}
