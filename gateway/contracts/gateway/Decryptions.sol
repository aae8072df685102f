// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../common/Batch.sol";
import {Quorum} from "../common/Quorum.sol";
import {Results} from "../common/Results.sol";
import {Ciphertexts} from "./Ciphertexts.sol";
import {Fees} from "./Fees.sol";
import {Keys} from "./Keys.sol";
import {Limits} from "./Limits.sol";
import {Permits} from "./Permits.sol";
import {Registry} from "./Registry.sol";
import {Requests} from "./Requests.sol";

/// @title Decryptions: asked for, answered once, recorded
/// @notice requests[id] is the hash of everything an enclave must know. Checks here are a first filter, paid by the requester; the
/// enclave proves the same facts on the host chain. Anybody posts answers, single or in batches.
contract Decryptions is Permits, Fees, Limits {
    using Requests for Requests.Request;
    using Results for *;

    bytes32 internal constant EXPIRED = bytes32(uint256(1));

    Registry public immutable registry;
    Keys public immutable keys;
    Ciphertexts public immutable ciphertexts;
    bytes32 public immutable domain;

    /// @notice keccak256 of all fields of a request, for ever.
    mapping(uint256 => bytes32) public requests;
    /// @notice 0 open, 1 expired and refunded, else the struct hash of the answer.
    mapping(uint256 => bytes32) public answers;
    uint256 public requestCount;
    /// @notice (host chain, oracle's slot, consumer, handles) => the request that carries it, so that relayers never double one, and
    /// one with other fields, which no oracle would take, stands in nobody's way.
    mapping(bytes32 => uint256) public carriedBy;

    /// @notice Shares that came after the answer, by party: if some of the first ones lie, the user needs more than 2t+1.
    mapping(uint256 => mapping(uint8 => bytes32)) public laterShares;

    event PublicDecryptionRequested(uint256 indexed id, uint256 indexed hostChainId, Requests.Request request);
    event UserDecryptionRequested(uint256 indexed id, uint256 indexed hostChainId, Requests.Request request);
    event HandleTransferRequested(uint256 indexed id, uint256 indexed hostChainId, Requests.Request request);
    event PublicDecryptionAnswered(uint256 indexed id, uint64 epoch, uint256 parties, bytes result);
    event UserDecryptionAnswered(uint256 indexed id, uint64 epoch, uint256 parties, bytes32[] shareDigests);
    event UserShareAdded(uint256 indexed id, uint64 epoch, uint8 indexed party, bytes32 shareDigest);
    event HandleTransferAnswered(uint256 indexed id, uint64 epoch, uint256 parties);
    event BatchPosted(bytes32 indexed root, uint64 indexed epoch, uint256 parties, uint256 answered, bytes signatures);
    event RequestExpired(uint256 indexed id, address payer, uint256 fee);

    error RequestsPaused();
    error NotPublic(bytes32 handle);
    error NotAllowed(bytes32 handle, address account);
    error KeyDoesNotDecrypt(bytes32 keyId);
    error MixedKeys();
    error AlreadyCarried(uint256 id);
    error NotTheRequest(uint256 id);
    error NotOpen(uint256 id);
    error RequestOver(uint256 id);
    error RequestNotOver(uint256 id);
    error EpochOver(uint64 epoch);
    error BadShares(uint256 id);
    error ResultTooLarge(uint256 sizeBytes);
    error WrongTransfer(uint256 id);

    constructor(Registry of_, Keys keys_, Ciphertexts ciphertexts_) {
        (registry, keys, ciphertexts) = (of_, keys_, ciphertexts_);
        domain = of_.domain();
        maxPerWindow = 1000;
    }

    // Requests.

    /// @notice Handles that their host chain made public; usually sent by a relayer of the host chain's oracle.
    /// @param hostRequest slot of the oracle's request, 0 for none
    function requestPublic(
        uint256 hostChainId,
        address consumer,
        bytes32 hostRequest,
        bytes32[] calldata handles,
        uint64 lifetime
    ) external payable returns (uint256 id) {
        for (uint256 i; i < handles.length; ++i) {
            if (!ciphertexts.isPublic(handles[i], hostChainId)) revert NotPublic(handles[i]);
        }
        Requests.Request memory r;
        (r.kind, r.consumer, r.reference_) = (Requests.PUBLIC, consumer, hostRequest);
        id = _open(r, hostChainId, handles, lifetime);
        if (hostRequest != 0) _carry(keccak256(abi.encode(hostChainId, hostRequest, consumer, handles)), id);
        emit PublicDecryptionRequested(id, hostChainId, r);
    }

    /// @notice Handles that both the user and the application it permits may use.
    function requestUser(
        Results.UserDecryptionRequest calldata permit,
        bytes calldata signature,
        bytes32[] calldata handles,
        uint64 lifetime
    ) external payable returns (uint256 id) {
        Requests.Request memory r;
        (r.kind, r.consumer, r.publicKeyHash) = (Requests.USER, permit.user, permit.publicKeyHash);
        (r.reference_, r.signedBy) = _check(domain, permit, signature);
        _requireAllowed(handles, permit.hostChainId, permit.user);
        _requireAllowed(handles, permit.hostChainId, permit.context);
        id = _open(r, permit.hostChainId, handles, lifetime);
        emit UserDecryptionRequested(id, permit.hostChainId, r);
    }

    /// @notice Asks the nodes to attest to another chain that its account was granted a handle; they prove the grant themselves.
    function requestTransfer(bytes32 handle, uint256 originChainId, uint256 toChainId, address account, uint64 lifetime)
        external
        payable
        returns (uint256 id)
    {
        Requests.Request memory r;
        (r.kind, r.consumer, r.reference_) = (Requests.TRANSFER, account, bytes32(toChainId));
        bytes32[] memory handles = new bytes32[](1);
        handles[0] = handle;
        registry.hostChain(toChainId);
        id = _open(r, originChainId, handles, lifetime);
        emit HandleTransferRequested(id, originChainId, r);
    }

    // Answers.

    function answerPublic(Requests.Request calldata r, bytes calldata result, uint64 epoch, bytes calldata signatures)
        external
    {
        _requireOpen(r, Requests.PUBLIC);
        bytes32 statement = r.publicResult(epoch, result);
        uint256 parties = _requireQuorum(epoch, statement, signatures);
        _answerPublic(r, result, epoch, parties, statement);
    }

    /// @param signatures of each party, in the order of the parties, over its own UserDecryptionShare
    function answerUser(
        Requests.Request calldata r,
        uint64 epoch,
        uint256 parties,
        bytes32[] calldata shareDigests,
        bytes calldata signatures
    ) external {
        _requireOpen(r, Requests.USER);
        if (signatures.length != 65 * shareDigests.length) revert BadShares(r.id);
        Results.UserDecryptionShare memory s = r.share(epoch);
        uint256 rest = parties;
        for (uint256 i; i < shareDigests.length; ++i) {
            s.party = _lowest(rest);
            s.shareDigest = shareDigests[i];
            (uint256 signer,) = registry.signersOf(epoch, s.hash(), signatures[65 * i:65 * i + 65]);
            if (signer == 0 || signer != rest & (~rest + 1)) revert BadShares(r.id);
            rest &= rest - 1;
        }
        if (!registry.answers(epoch)) revert EpochOver(epoch);
        _answerUser(r, epoch, parties, shareDigests);
        pots[epoch][parties] += r.fee;
    }

    /// @notice One more share for an answered request.
    function addUserShare(Requests.Request calldata r, uint64 epoch, uint8 party, bytes32 digest, bytes calldata signature)
        external
    {
        if (requests[r.id] != r.hash() || r.kind != Requests.USER) revert NotTheRequest(r.id);
        if (answers[r.id] == 0 || answers[r.id] == EXPIRED || laterShares[r.id][party] != 0) revert NotOpen(r.id);
        if (!registry.answers(epoch)) revert EpochOver(epoch);
        Results.UserDecryptionShare memory s = r.share(epoch);
        (s.party, s.shareDigest) = (party, digest);
        (uint256 parties,) = registry.signersOf(epoch, s.hash(), signature);
        if (party == 0 || parties != uint256(1) << (party - 1)) revert BadShares(r.id);
        laterShares[r.id][party] = digest;
        emit UserShareAdded(r.id, epoch, party, digest);
    }

    function answerTransfer(
        Requests.Request calldata r,
        Results.HandleTransfer calldata s,
        bytes calldata signatures
    ) external {
        _requireOpen(r, Requests.TRANSFER);
        bool isRight = s.requestId == r.id && s.handle == r.handles[0] && s.originChainId == r.hostChainId;
        isRight = isRight && bytes32(s.destinationChainId) == r.reference_ && s.account == r.consumer;
        if (!isRight || s.keyId != r.keyId) revert WrongTransfer(r.id);
        uint256 parties = _requireQuorum(s.epoch, s.hash(), signatures);
        answers[r.id] = s.hash();
        pots[s.epoch][parties] += r.fee;
        emit HandleTransferAnswered(r.id, s.epoch, parties);
    }

    /// @notice Many answers under the signatures of 2t+1 parties over their Merkle root. What is answered or over already is passed by, so
    /// posting again harms nothing.
    function answerBatch(uint64 epoch, Requests.Answer[] calldata batch, bytes calldata signatures) external {
        bytes32[] memory leaves = new bytes32[](batch.length);
        for (uint256 i; i < batch.length; ++i) leaves[i] = Requests.leaf(batch[i], epoch);
        bytes32 root = Batch.root(leaves);
        uint256 parties =
            _requireQuorum(epoch, Results.ResultBatch(root, uint32(batch.length), epoch).hash(), signatures);
        uint256 answered;
        uint256 fees;
        for (uint256 i; i < batch.length; ++i) {
            Requests.Request calldata r = batch[i].request;
            if (requests[r.id] != r.hash()) revert NotTheRequest(r.id);
            if (answers[r.id] != 0 || block.timestamp > r.expiresAt) continue;
            if (r.kind == Requests.PUBLIC) {
                bytes32 statement = r.publicResult(epoch, batch[i].result);
                answers[r.id] = statement;
                _emitPublic(r.id, epoch, parties, batch[i].result);
            } else if (r.kind == Requests.USER) {
                _answerUser(r, epoch, batch[i].parties, batch[i].shareDigests);
            } else {
                revert NotTheRequest(r.id);
            }
            fees += r.fee;
            ++answered;
        }
        pots[epoch][parties] += fees;
        emit BatchPosted(root, epoch, parties, answered, signatures);
    }

    /// @notice After its time a request is over and its fee is the payer's again. Never paused.
    function expire(Requests.Request calldata r) external {
        if (requests[r.id] != r.hash()) revert NotTheRequest(r.id);
        if (answers[r.id] != 0) revert NotOpen(r.id);
        if (block.timestamp <= r.expiresAt) revert RequestNotOver(r.id);
        answers[r.id] = EXPIRED;
        owed[r.payer] += r.fee;
        emit RequestExpired(r.id, r.payer, r.fee);
    }

    /// @notice Whether these bytes are the share with which a party answered, in the answer or later.
    function verifyUserShare(
        uint256 id,
        uint256 parties,
        bytes32[] calldata shareDigests,
        uint8 party,
        bytes calldata share
    ) external view returns (bool) {
        if (party == 0 || party > Quorum.MAX_PARTIES) return false;
        bytes32 digest = sha256(share);
        if (laterShares[id][party] == digest) return true;
        uint256 bit = uint256(1) << (party - 1);
        if (parties & bit == 0) return false;
        if (answers[id] != Requests.userResult(id, parties, shareDigests)) return false;
        return shareDigests[Quorum.size(parties & (bit - 1))] == digest;
    }

    // Fees and limits.

    function divide(uint64 epoch, uint256 parties) external {
        _divide(registry, epoch, parties);
    }

    /// @notice By a quorum of operators, each sending this very call.
    function setTerms(uint256 perHandle, uint64 perWindow) external {
        if (!registry.approve(msg.sender, keccak256(msg.data))) return;
        (feePerHandle, maxPerWindow) = (perHandle, perWindow);
        emit FeeSet(perHandle);
        emit RateSet(perWindow);
    }

    function _open(Requests.Request memory r, uint256 hostChainId, bytes32[] memory handles, uint64 lifetime)
        private
        returns (uint256 id)
    {
        if (registry.paused()) revert RequestsPaused();
        _requireLifetime(lifetime);
        _count(msg.sender);
        r.keyId = _requireHandles(handles);
        if (!keys.decrypts(r.keyId)) revert KeyDoesNotDecrypt(r.keyId);
        r.keyState = keys.keyState(r.keyId);
        r.hostChainId = hostChainId;
        r.verifier = registry.hostChain(hostChainId).verifier;
        r.fee = handles.length * feePerHandle;
        if (msg.value != r.fee) revert WrongFee(msg.value, r.fee);
        (r.payer, r.handles) = (msg.sender, handles);
        (r.requestedAt, r.expiresAt) = (uint64(block.timestamp), uint64(block.timestamp) + lifetime);
        id = ++requestCount;
        r.id = id;
        requests[id] = r.hash();
    }

    /// @return keyId the one key of all of them
    function _requireHandles(bytes32[] memory handles) private view returns (bytes32 keyId) {
        uint256 count = handles.length;
        if (count == 0 || count > MAX_HANDLES) revert TooManyHandles(count);
        uint256 total;
        for (uint256 i; i < count; ++i) {
            (bytes32 key, uint256 sizeBytes,) = ciphertexts.facts(handles[i]);
            if (i == 0) keyId = key;
            if (key != keyId) revert MixedKeys();
            total += sizeBytes;
        }
        if (total > MAX_CIPHERTEXT_BYTES) revert TooManyBytes(total);
    }

    function _requireAllowed(bytes32[] calldata handles, uint256 chainId, address account) private view {
        for (uint256 i; i < handles.length; ++i) {
            if (!ciphertexts.isAllowed(handles[i], chainId, account)) revert NotAllowed(handles[i], account);
        }
    }

    function _carry(bytes32 slot, uint256 id) private {
        uint256 earlier = carriedBy[slot];
        if (earlier != 0 && answers[earlier] != EXPIRED) revert AlreadyCarried(earlier);
        carriedBy[slot] = id;
    }

    function _requireOpen(Requests.Request calldata r, uint8 kind) private view {
        if (requests[r.id] != r.hash() || r.kind != kind) revert NotTheRequest(r.id);
        if (answers[r.id] != 0) revert NotOpen(r.id);
        if (block.timestamp > r.expiresAt) revert RequestOver(r.id);
    }

    function _requireQuorum(uint64 epoch, bytes32 statement, bytes calldata signatures)
        private
        view
        returns (uint256 parties)
    {
        if (!registry.answers(epoch)) revert EpochOver(epoch);
        uint256 count;
        (parties, count) = registry.signersOf(epoch, statement, signatures);
        uint256 needed = registry.decodingQuorum(epoch);
        if (count < needed) revert Quorum.NotEnoughSigners(count, needed);
    }

    function _answerPublic(
        Requests.Request calldata r,
        bytes calldata result,
        uint64 epoch,
        uint256 parties,
        bytes32 statement
    ) private {
        answers[r.id] = statement;
        pots[epoch][parties] += r.fee;
        _emitPublic(r.id, epoch, parties, result);
    }

    function _emitPublic(uint256 id, uint64 epoch, uint256 parties, bytes calldata result) private {
        if (result.length > MAX_RESULT_BYTES) revert ResultTooLarge(result.length);
        emit PublicDecryptionAnswered(id, epoch, parties, result);
    }

    /// @dev 2t+1 shares at least, one digest for each party.
    function _answerUser(
        Requests.Request calldata r,
        uint64 epoch,
        uint256 parties,
        bytes32[] calldata shareDigests
    ) private {
        uint256 size = Quorum.size(parties);
        if (size != shareDigests.length || size < registry.decodingQuorum(epoch)) revert BadShares(r.id);
        if (parties >> registry.epochs(epoch).n != 0) revert BadShares(r.id);
        answers[r.id] = Requests.userResult(r.id, parties, shareDigests);
        emit UserDecryptionAnswered(r.id, epoch, parties, shareDigests);
    }

    function _lowest(uint256 parties) private pure returns (uint8 party) {
        for (party = 1; party <= Quorum.MAX_PARTIES && (parties >> (party - 1)) & 1 == 0; ++party) {}
    }
}
