// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Membership} from "../common/Membership.sol";
import {Quorum} from "../common/Quorum.sol";
import {TypedDomain} from "../common/TypedDomain.sol";
import {OperatorQuorum} from "./OperatorQuorum.sol";

/// @title Committees, epoch by epoch, and the enrolment of their signers
/// @notice Operators propose who is a member; enclaves, who checked each other's attestation, vouch for the signers. A contract
/// cannot check an attestation document (P-384), so nobody's signature counts before enclaves vouched for it: in epoch 0 all
/// others, later 2t+1 of the active committee.
abstract contract Committees is OperatorQuorum {
    using Membership for *;

    struct Node {
        address sender;
        address signer;
        bytes32 identity;
        bytes32 tlsRoot;
        bytes32 epochKey;
        bytes32 measurement;
        string endpoint;
        string organisation;
        string cloudAccount;
        string region;
    }

    struct Epoch {
        uint8 n;
        uint8 t;
        uint64 enrolled;
        uint64 activatedAt;
        uint64 retiredAt;
    }

    /// @notice Answers of the epoch before stay valid this long after a change.
    uint64 public constant GRACE_SECONDS = 3600;
    uint64 internal constant NO_EPOCH = type(uint64).max;

    /// @notice NO_EPOCH before epoch 0 is active.
    uint64 public currentEpoch = NO_EPOCH;
    mapping(uint64 => Epoch) internal _epochs;
    /// @notice keccak256 of all fields of a member, and of its enrolment once it is enrolled.
    mapping(uint64 => mapping(uint8 => bytes32)) public members;
    mapping(uint64 => mapping(uint8 => bytes32)) public enrolments;
    mapping(uint64 => mapping(address => uint8)) internal _partyOfSigner;
    mapping(uint64 => mapping(uint8 => address)) public senderOf;
    mapping(uint64 => mapping(uint8 => address)) public signerOf;
    mapping(uint64 => mapping(uint8 => bytes32)) public identityOf;

    event EpochProposed(uint64 indexed epoch, uint8 n, uint8 t);
    event MemberProposed(uint64 indexed epoch, uint8 indexed party, Node node);
    event NodeEnrolled(uint64 indexed epoch, uint8 indexed party, address signer, bytes32 document);
    event EpochActivated(uint64 indexed epoch, uint8 n, uint8 t);

    error BadCommittee();
    error WrongEpoch(uint64 epoch);
    error UnknownParty(uint8 party);
    error NotTheMember(uint8 party);
    error NotEnrolled(uint64 epoch);

    function domain() public view returns (bytes32) {
        return TypedDomain.separator(block.chainid, address(this));
    }

    function epochs(uint64 epoch) external view returns (Epoch memory) {
        return _epochs[epoch];
    }

    function partyOfSigner(uint64 epoch, address signer) external view returns (uint8) {
        return _partyOfSigner[epoch][signer];
    }

    /// @notice Parties of an epoch that signed a digest under the network's domain; reverts on anything but their signatures.
    function signersOf(uint64 epoch, bytes32 structHash, bytes calldata signatures)
        public
        view
        returns (uint256 parties, uint256 count)
    {
        return Quorum.parties(_partyOfSigner[epoch], TypedDomain.digest(domain(), structHash), signatures);
    }

    /// @notice 2t+1 of the epoch's parties.
    function decodingQuorum(uint64 epoch) public view returns (uint256) {
        return 2 * uint256(_epochs[epoch].t) + 1;
    }

    /// @notice n - t of the epoch's parties.
    function certificateQuorum(uint64 epoch) public view returns (uint256) {
        return uint256(_epochs[epoch].n) - _epochs[epoch].t;
    }

    /// @notice Whether answers of an epoch count now: the current one, and the one before for the time of grace.
    function answers(uint64 epoch) public view returns (bool) {
        Epoch storage e = _epochs[epoch];
        if (e.activatedAt == 0) return false;
        return e.retiredAt == 0 || block.timestamp <= e.retiredAt + GRACE_SECONDS;
    }

    /// @notice Replaces an earlier proposal of the same epoch, with its enrolments, as long as that epoch is not active.
    function proposeEpoch(uint64 epoch, uint8 t, Node[] calldata nodes) external byOperators {
        if (epoch != _next()) revert WrongEpoch(epoch);
        uint256 n = nodes.length;
        if (t == 0 || n < 3 * uint256(t) + 1 || n > Quorum.MAX_PARTIES) revert BadCommittee();
        _forget(epoch);
        _epochs[epoch] = Epoch(uint8(n), t, 0, 0, 0);
        emit EpochProposed(epoch, uint8(n), t);
        for (uint8 i; i < n; ++i) {
            _propose(epoch, i + 1, nodes[i]);
        }
    }

    /// @notice The member's own enclave is known to the others; anybody may post what they signed.
    function enrol(Membership.NodeEnrolment calldata e, bytes calldata signatures) external {
        Epoch storage epoch = _epochs[e.epoch];
        if (e.epoch != _next() || epoch.n == 0) revert WrongEpoch(e.epoch);
        if (e.party == 0 || e.party > epoch.n) revert UnknownParty(e.party);
        if (signerOf[e.epoch][e.party] != e.signer || identityOf[e.epoch][e.party] != e.identity) {
            revert NotTheMember(e.party);
        }
        bytes32 statement = e.hash();
        if (e.epoch == 0) {
            (uint256 parties,) = signersOf(0, statement, signatures);
            uint256 others = Quorum.size(parties & ~(1 << (e.party - 1)));
            if (others < epoch.n - 1) revert Quorum.NotEnoughSigners(others, epoch.n - 1);
        } else {
            (, uint256 count) = signersOf(currentEpoch, statement, signatures);
            uint256 needed = decodingQuorum(currentEpoch);
            if (count < needed) revert Quorum.NotEnoughSigners(count, needed);
        }
        enrolments[e.epoch][e.party] = statement;
        epoch.enrolled |= uint64(1) << (e.party - 1);
        emit NodeEnrolled(e.epoch, e.party, e.signer, e.document);
        if (e.epoch == 0 && _isComplete(epoch)) _activate(0);
    }

    /// @notice All members of a proposed epoch are enrolled.
    function isComplete(uint64 epoch) public view returns (bool) {
        return _isComplete(_epochs[epoch]);
    }

    function _activate(uint64 epoch) internal {
        if (epoch != _next()) revert WrongEpoch(epoch);
        Epoch storage next = _epochs[epoch];
        if (!_isComplete(next)) revert NotEnrolled(epoch);
        if (epoch != 0) _epochs[currentEpoch].retiredAt = uint64(block.timestamp);
        next.activatedAt = uint64(block.timestamp);
        currentEpoch = epoch;
        emit EpochActivated(epoch, next.n, next.t);
    }

    function _propose(uint64 epoch, uint8 party, Node calldata node) private {
        bool isFree = _partyOfSigner[epoch][node.signer] == 0;
        if (!isFree || node.signer == address(0) || node.sender == address(0)) revert BadCommittee();
        if (node.identity == 0 || node.epochKey == 0) revert BadCommittee();
        _partyOfSigner[epoch][node.signer] = party;
        senderOf[epoch][party] = node.sender;
        signerOf[epoch][party] = node.signer;
        identityOf[epoch][party] = node.identity;
        members[epoch][party] = keccak256(abi.encode(node));
        emit MemberProposed(epoch, party, node);
    }

    function _forget(uint64 epoch) private {
        uint8 n = _epochs[epoch].n;
        for (uint8 party = 1; party <= n; ++party) {
            delete _partyOfSigner[epoch][signerOf[epoch][party]];
            delete senderOf[epoch][party];
            delete signerOf[epoch][party];
            delete identityOf[epoch][party];
            delete members[epoch][party];
            delete enrolments[epoch][party];
        }
    }

    function _isComplete(Epoch storage epoch) private view returns (bool) {
        uint8 n = epoch.n;
        return n != 0 && epoch.enrolled == (n == 64 ? type(uint64).max : (uint64(1) << n) - 1);
    }

    function _next() private view returns (uint64) {
        return currentEpoch == NO_EPOCH ? 0 : currentEpoch + 1;
    }
}
