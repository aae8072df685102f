// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Compute} from "../contracts/host/Compute.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {ConfidentialTally} from "../contracts/sample/ConfidentialTally.sol";
import {HostFixture} from "./HostFixture.sol";

contract ConfidentialTallyTest is HostFixture {
    ConfidentialTally internal tally;
    uint64 internal endsAt;

    function setUp() public {
        deployHost();
        endsAt = uint64(block.timestamp) + 1 days;
        tally = new ConfidentialTally(compute, oracle, KEY, endsAt);
    }

    function vote(address voter) private returns (bytes32) {
        bytes32 digest = keccak256(abi.encode("ballot", voter));
        bytes memory proof = inputProof(address(tally), voter, digest);
        vm.prank(voter);
        tally.vote(digest, proof);
        return tally.ballotOf(voter);
    }

    function closed() private returns (DecryptionOracle.Request memory) {
        for (uint160 i = 1; i <= 5; ++i) vote(address(i));
        vm.warp(endsAt);
        uint256 id = tally.close();
        return oracleRequest(id, address(tally), tally.onSum.selector, 100_000, tally.sum());
    }

    function test_onlyTheSumIsDecrypted() external {
        DecryptionOracle.Request memory r = closed();
        deliver(r, abi.encodePacked(uint64(3)));
        isTrue(oracle.execute(r), "callback");
        equal(tally.yes(), 3, "counted");
        isTrue(!accessControl.isPublic(tally.ballotOf(address(1))), "no ballot is public");
        isTrue(accessControl.isAllowed(tally.ballotOf(address(1)), address(1)), "its voter may read it");
        isTrue(!accessControl.isAllowed(tally.ballotOf(address(1)), address(2)), "another voter may not");
    }

    function test_countedWithoutTheCallback() external {
        DecryptionOracle.Request memory r = closed();
        deliver(r, abi.encodePacked(uint64(4)));
        tally.pull();
        equal(tally.yes(), 4, "pulled");
    }

    function test_oneBallotEachAndInTime() external {
        vote(address(1));
        bytes32 digest = keccak256("second");
        bytes memory proof = inputProof(address(tally), address(1), digest);
        vm.prank(address(1));
        vm.expectRevert(abi.encodeWithSelector(ConfidentialTally.AlreadyVoted.selector, address(1)));
        tally.vote(digest, proof);
        vm.expectRevert(ConfidentialTally.VoteNotOver.selector);
        tally.close();
        vm.warp(endsAt);
        vm.expectRevert(ConfidentialTally.NoBallots.selector);
        tally.close();
        vm.prank(address(2));
        vm.expectRevert(ConfidentialTally.VoteOver.selector);
        tally.vote(digest, proof);
    }

    function test_aCopiedBallotIsRefused() external {
        bytes32 digest = keccak256(abi.encode("ballot", address(1)));
        bytes memory proof = inputProof(address(tally), address(1), digest);
        vm.prank(address(2));
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        tally.vote(digest, proof);
    }

    function test_onlyTheOracleReports() external {
        DecryptionOracle.Request memory r = closed();
        vm.expectRevert(abi.encodeWithSelector(ConfidentialTally.NotTheOracle.selector, address(this)));
        tally.onSum(r.id, abi.encodePacked(uint64(99)));
    }
}
