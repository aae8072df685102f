// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Typed data (EIP-712) of answers
/// @notice What nodes and users sign about requests. The TypeScript twin is shared/gateway/typed-data.ts; both are frozen in test/vectors/gateway/typed-data.json.
library Results {
    /// @notice A plaintext that everybody may know, for the contract that asked.
    struct PublicDecryption {
        uint256 requestId;
        uint256 destinationChainId;
        address verifier;
        address consumer;
        bytes32 hostRequest;
        bytes32 keyId;
        uint8 keyState;
        uint64 epoch;
        bytes32[] handles;
        bytes result;
    }

    /// @notice One party's sealed share for one user; the digest is SHA-256 of the signed envelope.
    struct UserDecryptionShare {
        uint256 requestId;
        uint256 destinationChainId;
        address user;
        bytes32 publicKeyHash;
        bytes32 keyId;
        uint8 keyState;
        uint64 epoch;
        uint8 party;
        bytes32[] handles;
        bytes32 shareDigest;
    }

    /// @notice A permit: what a wallet signs so that its own plaintexts are sealed to one X-Wing key.
    struct UserDecryptionRequest {
        address user;
        address delegate;
        bytes32 publicKeyHash;
        uint256 hostChainId;
        address context;
        uint64 validFrom;
        uint64 validUntil;
        uint256 nonce;
    }

    /// @notice Which shares answer a request; a leaf of a batch.
    struct UserDecryption {
        uint256 requestId;
        uint256 parties;
        bytes32[] shareDigests;
    }

    /// @notice Many results under one set of signatures; leaves are struct hashes of PublicDecryption and UserDecryption.
    struct ResultBatch {
        bytes32 root;
        uint32 count;
        uint64 epoch;
    }

    /// @notice A handle of one host chain that an account of another may use, after the enclaves proved the grant.
    struct HandleTransfer {
        uint256 requestId;
        bytes32 handle;
        uint256 originChainId;
        uint256 destinationChainId;
        address account;
        bytes32 keyId;
        uint8 kind;
        uint8 level;
        uint256 bound;
        uint64 epoch;
    }

    bytes32 internal constant PUBLIC_DECRYPTION = keccak256(
        "PublicDecryption(uint256 requestId,uint256 destinationChainId,address verifier,address consumer,"
        "bytes32 hostRequest,bytes32 keyId,uint8 keyState,uint64 epoch,bytes32[] handles,bytes result)"
    );

    bytes32 internal constant USER_DECRYPTION_SHARE = keccak256(
        "UserDecryptionShare(uint256 requestId,uint256 destinationChainId,address user,bytes32 publicKeyHash,"
        "bytes32 keyId,uint8 keyState,uint64 epoch,uint8 party,bytes32[] handles,bytes32 shareDigest)"
    );

    bytes32 internal constant USER_DECRYPTION_REQUEST = keccak256(
        "UserDecryptionRequest(address user,address delegate,bytes32 publicKeyHash,uint256 hostChainId,"
        "address context,uint64 validFrom,uint64 validUntil,uint256 nonce)"
    );

    bytes32 internal constant USER_DECRYPTION = keccak256(
        "UserDecryption(uint256 requestId,uint256 parties,bytes32[] shareDigests)"
    );

    bytes32 internal constant RESULT_BATCH = keccak256(
        "ResultBatch(bytes32 root,uint32 count,uint64 epoch)"
    );

    bytes32 internal constant HANDLE_TRANSFER = keccak256(
        "HandleTransfer(uint256 requestId,bytes32 handle,uint256 originChainId,uint256 destinationChainId,"
        "address account,bytes32 keyId,uint8 kind,uint8 level,uint256 bound,uint64 epoch)"
    );

    function hash(PublicDecryption memory s) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(PUBLIC_DECRYPTION, s.requestId, s.destinationChainId, s.verifier, s.consumer, s.hostRequest, s.keyId),
                abi.encode(s.keyState, s.epoch, keccak256(abi.encodePacked(s.handles)), keccak256(s.result))
            )
        );
    }

    function hash(UserDecryptionShare memory s) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(USER_DECRYPTION_SHARE, s.requestId, s.destinationChainId, s.user, s.publicKeyHash, s.keyId, s.keyState),
                abi.encode(s.epoch, s.party, keccak256(abi.encodePacked(s.handles)), s.shareDigest)
            )
        );
    }

    function hash(UserDecryptionRequest memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(USER_DECRYPTION_REQUEST, s));
    }

    function hash(UserDecryption memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(USER_DECRYPTION, s.requestId, s.parties, keccak256(abi.encodePacked(s.shareDigests))));
    }

    function hash(ResultBatch memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(RESULT_BATCH, s));
    }

    function hash(HandleTransfer memory s) internal pure returns (bytes32) {
        return keccak256(abi.encode(HANDLE_TRANSFER, s));
    }
}
