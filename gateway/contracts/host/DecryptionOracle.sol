// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Results} from "../common/Results.sol";
import {AccessControl} from "./AccessControl.sol";
import {Compute} from "./Compute.sol";
import {KmsVerifier} from "./KmsVerifier.sol";

/// @title Public decryption for contracts
/// @notice Three transactions, each by anybody: the request; the delivery, which verifies and stores; the callback, with the gas its
/// requester set, repeated until it succeeds once. Whatever the callback does, the result stays here to be pulled.
contract DecryptionOracle is ReentrancyGuard {
    struct Request {
        uint256 id;
        uint256 chainId;
        address oracle;
        address consumer;
        /// Called as selector(uint256 id, bytes result).
        bytes4 selector;
        uint32 gasLimit;
        bytes32 keyId;
        uint64 requestedAt;
        /// Wei for whoever delivers the result.
        uint256 reward;
        bytes32[] handles;
    }

    uint256 public constant MAX_HANDLES = 64;
    uint32 public constant MAX_GAS = 5_000_000;
    uint256 public constant MAX_RESULT_BYTES = 4096;
    /// @dev What execute() itself needs after the callback.
    uint256 internal constant MARGIN_GAS = 60_000;

    KmsVerifier public immutable verifier;
    AccessControl public immutable accessControl;
    Compute public immutable compute;

    /// @notice keccak256 of all fields of a request; results name it.
    mapping(uint256 => bytes32) public requests;
    uint256 public requestCount;
    mapping(uint256 => bool) public delivered;
    mapping(uint256 => bool) public executed;
    mapping(uint256 => bytes) internal _results;
    mapping(address => uint256) public owed;

    event DecryptionRequested(uint256 indexed id, address indexed consumer, bytes32 slot, Request request);
    event ResultDelivered(uint256 indexed id, address indexed deliverer, bytes result);
    event CallbackSucceeded(uint256 indexed id);
    event CallbackFailed(uint256 indexed id);

    error BadRequest();
    error NotTheRequest(uint256 id);
    error AlreadyDelivered(uint256 id);
    error NotDelivered(uint256 id);
    error AlreadyExecuted(uint256 id);
    error WrongResult(uint256 id);
    error NotEnoughGas(uint256 left, uint256 needed);
    error TransferFailed(address account);

    constructor(KmsVerifier verifier_, AccessControl accessControl_, Compute compute_) {
        (verifier, accessControl, compute) = (verifier_, accessControl_, compute_);
    }

    /// @notice The caller must be allowed to use the handles; they become public with this call.
    function request(bytes32[] calldata handles, bytes4 selector, uint32 gasLimit)
        external
        payable
        returns (uint256 id)
    {
        if (handles.length == 0 || handles.length > MAX_HANDLES || gasLimit > MAX_GAS) revert BadRequest();
        bytes32 keyId = compute.operandOf(handles[0]).keyId;
        for (uint256 i; i < handles.length; ++i) {
            if (compute.operandOf(handles[i]).keyId != keyId) revert BadRequest();
            accessControl.publishFor(handles[i], msg.sender);
        }
        id = ++requestCount;
        Request memory r = Request(
            id, block.chainid, address(this), msg.sender, selector, gasLimit, keyId, uint64(block.timestamp), msg.value, handles
        );
        requests[id] = keccak256(abi.encode(r));
        emit DecryptionRequested(id, msg.sender, requests[id], r);
    }

    /// @param signatures of 2t+1 parties over exactly this result
    function deliver(Request calldata r, Results.PublicDecryption calldata result, bytes calldata signatures) external {
        _requireDeliverable(r, result);
        verifier.verifyResult(result, signatures);
        _store(r, result.result);
    }

    /// @notice The same from a batch that the verifier has verified, or verifies now.
    /// @param signatures empty when the batch is known
    function deliverFromBatch(
        Request calldata r,
        Results.PublicDecryption calldata result,
        Results.ResultBatch calldata batch,
        bytes32[] calldata proof,
        bytes calldata signatures
    ) external {
        _requireDeliverable(r, result);
        if (signatures.length != 0) verifier.verifyBatch(batch, signatures);
        verifier.verifyResultInBatch(result, batch, proof);
        _store(r, result.result);
    }

    /// @notice The callback, in a transaction of its own. Returns whether it succeeded; what the consumer returns is ignored.
    function execute(Request calldata r) external nonReentrant returns (bool isDone) {
        _requireKnown(r);
        if (!delivered[r.id]) revert NotDelivered(r.id);
        if (executed[r.id]) revert AlreadyExecuted(r.id);
        executed[r.id] = true;
        bytes memory message = abi.encodeWithSelector(r.selector, r.id, _results[r.id]);
        // The consumer gets all the gas it asked for, or the transaction fails: nobody can starve a callback and call it done.
        uint256 needed = (uint256(r.gasLimit) * 64) / 63 + MARGIN_GAS;
        if (gasleft() < needed) revert NotEnoughGas(gasleft(), needed);
        (address to, uint256 gasLimit) = (r.consumer, r.gasLimit);
        assembly ("memory-safe") {
            isDone := call(gasLimit, to, 0, add(message, 32), mload(message), 0, 0)
        }
        if (isDone) {
            emit CallbackSucceeded(r.id);
        } else {
            executed[r.id] = false;
            emit CallbackFailed(r.id);
        }
    }

    /// @notice The result, for ever.
    function resultOf(uint256 id) external view returns (bytes memory) {
        if (!delivered[id]) revert NotDelivered(id);
        return _results[id];
    }

    function withdraw() external {
        uint256 amount = owed[msg.sender];
        owed[msg.sender] = 0;
        (bool isPaid,) = msg.sender.call{value: amount}("");
        if (!isPaid) revert TransferFailed(msg.sender);
    }

    function _requireKnown(Request calldata r) private view {
        if (requests[r.id] != keccak256(abi.encode(r))) revert NotTheRequest(r.id);
    }

    function _requireDeliverable(Request calldata r, Results.PublicDecryption calldata result) private view {
        _requireKnown(r);
        if (delivered[r.id]) revert AlreadyDelivered(r.id);
        bool isRight = result.hostRequest == requests[r.id] && result.consumer == r.consumer;
        isRight = isRight && result.keyId == r.keyId && result.result.length <= MAX_RESULT_BYTES;
        isRight = isRight && keccak256(abi.encode(result.handles)) == keccak256(abi.encode(r.handles));
        if (!isRight) revert WrongResult(r.id);
    }

    function _store(Request calldata r, bytes calldata result) private {
        delivered[r.id] = true;
        _results[r.id] = result;
        owed[msg.sender] += r.reward;
        emit ResultDelivered(r.id, msg.sender, result);
    }
}
