// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../common/Batch.sol";
import {Results} from "../common/Results.sol";

/// @title A request and what answers it
library Requests {
    uint8 internal constant PUBLIC = 1;
    uint8 internal constant USER = 2;
    uint8 internal constant TRANSFER = 3;

    struct Request {
        uint256 id;
        uint8 kind;
        uint256 hostChainId;
        address verifier;
        /// The contract that asked; the user; the account that a handle is transferred to.
        address consumer;
        /// Slot of the oracle's request; digest of the permit; chain id of a transfer's destination.
        bytes32 reference_;
        bytes32 publicKeyHash;
        bytes32 keyId;
        uint8 keyState;
        /// Who vouched for the permit: 1 its key, 2 a contract wallet, 0 no permit.
        uint8 signedBy;
        address payer;
        uint256 fee;
        uint64 requestedAt;
        uint64 expiresAt;
        bytes32[] handles;
    }

    /// @notice One result in a batch; which fields count depends on the request's kind.
    struct Answer {
        Request request;
        bytes result;
        uint256 parties;
        bytes32[] shareDigests;
    }

    function hash(Request memory r) internal pure returns (bytes32) {
        return keccak256(abi.encode(r));
    }

    function publicResult(Request memory r, uint64 epoch, bytes memory result) internal pure returns (bytes32) {
        return Results.hash(
            Results.PublicDecryption(
                r.id, r.hostChainId, r.verifier, r.consumer, r.reference_, r.keyId, r.keyState, epoch, r.handles, result
            )
        );
    }

    /// @dev Without party and digest.
    function share(Request memory r, uint64 epoch) internal pure returns (Results.UserDecryptionShare memory) {
        return Results.UserDecryptionShare(
            r.id, r.hostChainId, r.consumer, r.publicKeyHash, r.keyId, r.keyState, epoch, 0, r.handles, 0
        );
    }

    function userResult(uint256 id, uint256 parties, bytes32[] memory shareDigests) internal pure returns (bytes32) {
        return Results.hash(Results.UserDecryption(id, parties, shareDigests));
    }

    function leaf(Answer memory a, uint64 epoch) internal pure returns (bytes32) {
        return Batch.leaf(
            a.request.kind == PUBLIC
                ? publicResult(a.request, epoch, a.result)
                : userResult(a.request.id, a.parties, a.shareDigests)
        );
    }
}
