// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Commands: what operators ask the nodes to do with keys
/// @notice One generic slot per command, keccak256 of all its fields; the payload is typed by its kind. Table of operations and events:
/// gateway/README.md.
library Commands {
    uint8 internal constant KEY_GENERATION = 1;
    uint8 internal constant CRS_GENERATION = 2;
    uint8 internal constant SWITCHING_KEY = 3;
    uint8 internal constant EPOCH_CHANGE = 4;
    uint8 internal constant LIFECYCLE = 5;
    uint8 internal constant BACKUP = 6;
    uint8 internal constant RECOVERY = 7;

    struct Command {
        uint256 id;
        uint8 kind;
        uint64 epoch;
        bytes payload;
        uint64 requestedAt;
        uint64 expiresAt;
    }

    struct KeyGenerationPayload {
        uint8 preset;
        /// 0 none, 1 sum, 2 all
        uint8 galois;
    }

    struct CrsPayload {
        uint32 size;
    }

    struct SwitchingKeyPayload {
        bytes32 fromKey;
        bytes32 toKey;
    }

    struct EpochChangePayload {
        uint64 toEpoch;
        bytes32[] keys;
    }

    struct LifecyclePayload {
        bytes32 keyId;
        uint8 toState;
    }

    struct BackupPayload {
        bytes32 keyId;
        bytes32 custodians;
    }

    struct RecoveryPayload {
        uint8 party;
        bytes32 oldIdentity;
        bytes32 newIdentity;
        bytes32 custodians;
        bytes32[] keys;
    }

    function hash(Command memory c) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(c.id, c.kind, c.epoch, keccak256(c.payload), c.requestedAt, c.expiresAt)
        );
    }

    function keysHash(bytes32[] memory keys) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keys));
    }
}
