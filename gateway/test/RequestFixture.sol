// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../contracts/common/Batch.sol";
import {Results} from "../contracts/common/Results.sol";
import {TypedDomain} from "../contracts/common/TypedDomain.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

/// @title Requests as their events give them, and what parties sign about them
abstract contract RequestFixture is GatewayFixture {
    using Requests for Requests.Request;
    using Results for *;

    address internal constant CONSUMER = address(0xC0FFEE);
    address internal constant APPLICATION = address(0xA99);
    bytes32 internal constant HOST_REQUEST = keccak256("oracle slot");
    uint256 internal constant USER_SECRET = 0xABCDEF;
    uint256 internal constant FEE = 1 gwei;

    bool internal refuses;

    receive() external payable {
        isTrue(!refuses, "no, thank you");
    }

    function setTerms(uint64 perWindow) internal {
        decide(address(decryptions), abi.encodeCall(Decryptions.setTerms, (FEE, perWindow)));
    }

    function blank(uint8 kind, bytes32 handle) private view returns (Requests.Request memory r) {
        (r.kind, r.hostChainId, r.verifier, r.keyId, r.keyState) = (kind, HOST, address(0xFE01), KEY, 2);
        (r.payer, r.fee, r.handles) = (address(this), decryptions.feePerHandle(), one(handle));
        (r.requestedAt, r.expiresAt) = (uint64(block.timestamp), uint64(block.timestamp) + 600);
    }

    function requestPublic(bytes32 handle, bytes32 hostRequest) internal returns (Requests.Request memory r) {
        r = blank(Requests.PUBLIC, handle);
        (r.consumer, r.reference_) = (CONSUMER, hostRequest);
        r.id = decryptions.requestPublic{value: r.fee}(HOST, CONSUMER, hostRequest, r.handles, 600);
        equal(decryptions.requests(r.id), r.hash(), "the slot holds every field");
    }

    /// @notice To CONSUMER on the next chain.
    function requestTransfer(bytes32 handle) internal returns (Requests.Request memory r) {
        r = blank(Requests.TRANSFER, handle);
        (r.consumer, r.reference_) = (CONSUMER, bytes32(HOST + 1));
        r.id = decryptions.requestTransfer{value: r.fee}(handle, HOST, HOST + 1, CONSUMER, 600);
        equal(decryptions.requests(r.id), r.hash(), "the slot holds every field");
    }

    function permitOf(address user, address delegate) internal view returns (Results.UserDecryptionRequest memory) {
        return Results.UserDecryptionRequest(
            user, delegate, keccak256("x-wing key"), HOST, APPLICATION, uint64(block.timestamp),
            uint64(block.timestamp) + 1 days, decryptions.permitNonces(user)
        );
    }

    function signPermit(Results.UserDecryptionRequest memory p) internal view returns (bytes memory) {
        return signature(USER_SECRET, TypedDomain.digest(domain, p.hash()));
    }

    function userHandle(uint256 seed) internal returns (bytes32 handle) {
        handle = committed(seed, vm.addr(USER_SECRET));
        for (uint256 i; i < 2; ++i) mirror(handle, APPLICATION, 1, true, i);
    }

    function requestUser(bytes32 handle, Results.UserDecryptionRequest memory p, bytes memory permitSignature, uint8 by)
        internal
        returns (Requests.Request memory r)
    {
        r = blank(Requests.USER, handle);
        (r.consumer, r.publicKeyHash, r.signedBy) = (p.user, p.publicKeyHash, by);
        r.reference_ = TypedDomain.digest(domain, p.hash());
        r.id = decryptions.requestUser{value: r.fee}(p, permitSignature, r.handles, 600);
        equal(decryptions.requests(r.id), r.hash(), "the slot holds every field");
    }

    function signResult(Requests.Request memory r, bytes memory result, uint256 parties)
        internal
        view
        returns (bytes memory)
    {
        return signed(domain, r.publicResult(0, result), 0, parties);
    }

    function shareDigests(uint256 count) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](count);
        for (uint256 i; i < count; ++i) digests[i] = sha256(abi.encode("share", i + 1));
    }

    /// @notice Of parties 1..count, each over its own share.
    function signShares(Requests.Request memory r, uint256 count) internal view returns (bytes memory all) {
        Results.UserDecryptionShare memory s = r.share(0);
        for (uint8 party = 1; party <= count; ++party) {
            (s.party, s.shareDigest) = (party, shareDigests(count)[party - 1]);
            all = bytes.concat(all, signed(domain, s.hash(), 0, 1 << (party - 1)));
        }
    }

    function signBatch(Requests.Answer[] memory batch, uint256 parties) internal view returns (bytes memory) {
        bytes32[] memory leaves = new bytes32[](batch.length);
        for (uint256 i; i < batch.length; ++i) leaves[i] = Requests.leaf(batch[i], 0);
        Results.ResultBatch memory b = Results.ResultBatch(Batch.root(leaves), uint32(batch.length), 0);
        return signed(domain, b.hash(), 0, parties);
    }
}
