// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Batch} from "../common/Batch.sol";
import {Membership} from "../common/Membership.sol";
import {Quorum} from "../common/Quorum.sol";
import {Results} from "../common/Results.sol";
import {TypedDomain} from "../common/TypedDomain.sol";

/// @title Verifies the committee's signatures on a host chain
/// @notice Knows one committee by its deployment, and every later one because 2t+1 signers of the one before signed the change. It has no owner.
/// A statement names this chain and this contract, so none is good anywhere else.
contract KmsVerifier {
    using Membership for Membership.CommitteeChange;
    using Results for *;

    struct Committee {
        uint8 n;
        uint8 t;
        /// 0: no end.
        uint64 validUntil;
    }

    uint64 public constant MAX_GRACE_SECONDS = 7 days;

    bytes32 public immutable domain;
    uint64 public currentEpoch;
    mapping(uint64 => Committee) internal _committees;
    mapping(uint64 => mapping(address => uint8)) internal _partyOfSigner;
    /// @notice Struct hashes of batches whose signatures were verified.
    mapping(bytes32 => bool) public verifiedBatches;

    event CommitteeChanged(uint64 indexed fromEpoch, uint64 indexed toEpoch, uint8 t, address[] signers);
    event BatchVerified(bytes32 indexed batch, bytes32 root, uint32 count, uint64 epoch, uint256 parties);

    error BadCommittee();
    error WrongEpoch(uint64 epoch);
    error EpochOver(uint64 epoch);
    error WrongDestination(uint256 chainId, address verifier);
    error BatchNotVerified(bytes32 batch);
    error NotInBatch(bytes32 leaf);

    constructor(uint256 gatewayChainId, address registry, uint64 epoch, uint8 t, address[] memory signers) {
        domain = TypedDomain.separator(gatewayChainId, registry);
        _set(epoch, t, signers);
        emit CommitteeChanged(epoch, epoch, t, signers);
    }

    function committees(uint64 epoch) external view returns (Committee memory) {
        return _committees[epoch];
    }

    function partyOfSigner(uint64 epoch, address signer) external view returns (uint8) {
        return _partyOfSigner[epoch][signer];
    }

    /// @notice Posted by anybody. The old committee stays good for the time of grace that it signed.
    function changeCommittee(Membership.CommitteeChange calldata change, bytes calldata signatures) external {
        if (change.fromEpoch != currentEpoch || change.toEpoch != currentEpoch + 1) revert WrongEpoch(change.fromEpoch);
        if (change.graceSeconds > MAX_GRACE_SECONDS) revert BadCommittee();
        verify(change.fromEpoch, change.hash(), signatures);
        _committees[change.fromEpoch].validUntil = uint64(block.timestamp) + change.graceSeconds;
        _set(change.toEpoch, change.t, change.signers);
        emit CommitteeChanged(change.fromEpoch, change.toEpoch, change.t, change.signers);
    }

    /// @notice 2t+1 distinct low-s signatures of one epoch over a statement, or it reverts.
    function verify(uint64 epoch, bytes32 structHash, bytes calldata signatures) public view returns (uint256 parties) {
        Committee memory c = _committees[epoch];
        if (c.n == 0) revert WrongEpoch(epoch);
        if (c.validUntil != 0 && block.timestamp > c.validUntil) revert EpochOver(epoch);
        return Quorum.requireQuorum(
            _partyOfSigner[epoch], TypedDomain.digest(domain, structHash), signatures, 2 * uint256(c.t) + 1
        );
    }

    /// @notice A result for this chain under signatures of its own.
    function verifyResult(Results.PublicDecryption calldata result, bytes calldata signatures) external view {
        _requireHere(result);
        verify(result.epoch, result.hash(), signatures);
    }

    /// @notice The signatures of a batch are verified once, its results then cost a Merkle proof each.
    function verifyBatch(Results.ResultBatch calldata batch, bytes calldata signatures) external {
        bytes32 name = batch.hash();
        if (verifiedBatches[name]) return;
        uint256 parties = verify(batch.epoch, name, signatures);
        verifiedBatches[name] = true;
        emit BatchVerified(name, batch.root, batch.count, batch.epoch, parties);
    }

    function verifyResultInBatch(
        Results.PublicDecryption calldata result,
        Results.ResultBatch calldata batch,
        bytes32[] calldata proof
    ) external view {
        _requireHere(result);
        bytes32 name = batch.hash();
        if (!verifiedBatches[name]) revert BatchNotVerified(name);
        bytes32 leaf = Batch.leaf(result.hash());
        if (result.epoch != batch.epoch || !MerkleProof.verifyCalldata(proof, batch.root, leaf)) revert NotInBatch(leaf);
    }

    function _requireHere(Results.PublicDecryption calldata result) private view {
        if (result.destinationChainId != block.chainid || result.verifier != address(this)) {
            revert WrongDestination(result.destinationChainId, result.verifier);
        }
    }

    function _set(uint64 epoch, uint8 t, address[] memory signers) private {
        uint256 n = signers.length;
        if (t == 0 || n < 3 * uint256(t) + 1 || n > Quorum.MAX_PARTIES) revert BadCommittee();
        for (uint256 i; i < n; ++i) {
            if (signers[i] == address(0) || _partyOfSigner[epoch][signers[i]] != 0) revert BadCommittee();
            _partyOfSigner[epoch][signers[i]] = uint8(i + 1);
        }
        _committees[epoch] = Committee(uint8(n), t, 0);
        currentEpoch = epoch;
    }
}
