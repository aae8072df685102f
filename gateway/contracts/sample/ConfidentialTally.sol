// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Handles} from "../common/Handles.sol";
import {AccessControl} from "../host/AccessControl.sol";
import {Compute} from "../host/Compute.sol";
import {DecryptionOracle} from "../host/DecryptionOracle.sol";

/// @title A vote whose ballots nobody ever sees, only their sum
/// @notice The application to read first. Voters bring encrypted ballots; the contract adds them up under encryption; after the end anybody
/// closes the vote, and the committee decrypts the sum alone. A voter may look at the own ballot, and at nothing else.
///
/// Each ballot is 0 or 1; that it is one is the business of the input's proof. Every sum's noise bound is checked by Compute,
/// so a ballot too many reverts instead of spoiling the result.
contract ConfidentialTally {
    Compute public immutable compute;
    AccessControl public immutable accessControl;
    DecryptionOracle public immutable oracle;
    bytes32 public immutable keyId;
    uint64 public immutable endsAt;

    mapping(address => bytes32) public ballotOf;
    uint256 public ballots;
    /// @notice Handle of the running sum.
    bytes32 public sum;
    /// @notice The oracle's request; 0 while the vote is open.
    uint256 public decryption;
    bool public isCounted;
    uint64 public yes;

    event Voted(address indexed voter, bytes32 ballot);
    event Closed(uint256 decryption);
    event Counted(uint64 yes, uint256 ballots);

    error VoteOver();
    error VoteNotOver();
    error AlreadyVoted(address voter);
    error NoBallots();
    error NotTheOracle(address caller);
    error BadResult();

    constructor(Compute compute_, DecryptionOracle oracle_, bytes32 keyId_, uint64 endsAt_) {
        (compute, oracle, keyId, endsAt) = (compute_, oracle_, keyId_, endsAt_);
        accessControl = compute_.accessControl();
    }

    /// @param digest SHA-256 of the ballot's envelope
    /// @param proof that it is a ballot, made for this contract and this voter
    function vote(bytes32 digest, bytes calldata proof) external {
        if (block.timestamp >= endsAt) revert VoteOver();
        if (ballotOf[msg.sender] != 0) revert AlreadyVoted(msg.sender);
        bytes32 ballot = compute.input(digest, keyId, Handles.SCALAR, msg.sender, proof);
        accessControl.allow(ballot, msg.sender);
        ballotOf[msg.sender] = ballot;
        sum = ballots == 0 ? ballot : compute.add(sum, ballot);
        ++ballots;
        emit Voted(msg.sender, ballot);
    }

    /// @notice With one ballot the sum would be that ballot.
    function close() external payable returns (uint256) {
        if (block.timestamp < endsAt || decryption != 0) revert VoteNotOver();
        if (ballots < 2) revert NoBallots();
        bytes32[] memory handles = new bytes32[](1);
        handles[0] = sum;
        decryption = oracle.request{value: msg.value}(handles, this.onSum.selector, 100_000);
        emit Closed(decryption);
        return decryption;
    }

    /// @notice The oracle's callback: 8 bytes, big endian.
    function onSum(uint256 id, bytes calldata result) external {
        if (msg.sender != address(oracle) || id != decryption) revert NotTheOracle(msg.sender);
        _count(result);
    }

    /// @notice The same without a callback: the oracle keeps every result.
    function pull() external {
        _count(oracle.resultOf(decryption));
    }

    function _count(bytes memory result) private {
        if (result.length != 8) revert BadResult();
        if (isCounted) return;
        (isCounted, yes) = (true, uint64(bytes8(result)));
        emit Counted(yes, ballots);
    }
}
