// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Typed data (EIP-712) of committees
/// @notice What nodes sign about each other and about epochs. Twin: shared/gateway/typed-data.ts.
library Membership {
    /// @notice By a party of the new committee: which parties' packets it holds, and whether it decoded all its shares.
    struct EpochChange {
        uint256 commandId;
        uint64 fromEpoch;
        uint64 toEpoch;
        uint8 party;
        bytes32 keysHash;
        uint256 served;
        bool confirmed;
    }

    /// @notice By the old committee, for verifiers on other chains.
    struct CommitteeChange {
        uint64 fromEpoch;
        uint64 toEpoch;
        uint8 t;
        address[] signers;
        uint64 graceSeconds;
    }

    /// @notice By enclaves that verified the attestation of the enrolled one.
    struct NodeEnrolment {
        uint64 epoch;
        uint8 party;
        address signer;
        bytes32 identity;
        bytes32 tlsRoot;
        bytes32 measurement;
        bytes32 document;
    }

    /// @notice A node's own state version and the head of its audit log.
    struct Anchor {
        bytes32 identity;
        uint64 version;
        bytes32 state;
        bytes32 auditHead;
    }

    bytes32 internal constant EPOCH_CHANGE = keccak256(
        "EpochChange(uint256 commandId,uint64 fromEpoch,uint64 toEpoch,uint8 party,bytes32 keysHash,"
        "uint256 served,bool confirmed)"
    );

    bytes32 internal constant COMMITTEE_CHANGE = keccak256(
        "CommitteeChange(uint64 fromEpoch,uint64 toEpoch,uint8 t,address[] signers,uint64 graceSeconds)"
    );

    bytes32 internal constant NODE_ENROLMENT = keccak256(
        "NodeEnrolment(uint64 epoch,uint8 party,address signer,bytes32 identity,bytes32 tlsRoot,"
        "bytes32 measurement,bytes32 document)"
    );

    bytes32 internal constant ANCHOR = keccak256(
        "Anchor(bytes32 identity,uint64 version,bytes32 state,bytes32 auditHead)"
    );

    function hash(EpochChange memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(EPOCH_CHANGE, s));
    }

    function hash(CommitteeChange memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(COMMITTEE_CHANGE, s.fromEpoch, s.toEpoch, s.t, keccak256(abi.encodePacked(s.signers)), s.graceSeconds));
    }

    function hash(NodeEnrolment memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(NODE_ENROLMENT, s));
    }

    function hash(Anchor memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(ANCHOR, s));
    }
}
