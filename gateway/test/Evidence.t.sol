// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {Evidence} from "../contracts/gateway/Evidence.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

contract EvidenceTest is GatewayFixture {
    using Results for *;

    Evidence internal evidence;

    function setUp() public {
        deployGateway();
        beginEpoch0();
        evidence = new Evidence(registry);
    }

    function result(bytes memory value) private pure returns (Results.PublicDecryption memory r) {
        (r.requestId, r.keyId, r.handles, r.result) = (5, KEY, one(keccak256("h")), value);
    }

    function sign(Results.PublicDecryption memory r, uint256 parties) private view returns (bytes memory) {
        return signed(domain, r.hash(), 0, parties);
    }

    function test_twoResultsOfOneRequestCatchTheirSigner() external {
        (Results.PublicDecryption memory a, Results.PublicDecryption memory b) = (result("5"), result("6"));
        equal(evidence.report(a, sign(a, 4), b, sign(b, 4)), 3, "party");
        equal(evidence.caught(0), 4, "caught");
    }

    function test_nobodyIsCaughtForAnythingElse() external {
        (Results.PublicDecryption memory a, Results.PublicDecryption memory b) = (result("5"), result("6"));
        (bytes memory third, bytes memory other, bytes memory two) = (sign(a, 4), sign(b, 2), sign(a, 6));
        vm.expectRevert(Evidence.NotOneParty.selector);
        evidence.report(a, third, b, other);
        bytes memory twoB = sign(b, 6);
        vm.expectRevert(Evidence.NotOneParty.selector);
        evidence.report(a, two, b, twoB);
        vm.expectRevert(Evidence.NoConflict.selector);
        evidence.report(a, third, a, third);
        b.requestId = 6;
        bytes memory another = sign(b, 4);
        vm.expectRevert(Evidence.NoConflict.selector);
        evidence.report(a, third, b, another);
        b = result("6");
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        evidence.report(a, third, b, third);
        equal(evidence.caught(0), 0, "nobody");
    }

    function test_otherRequestsKeysEpochsAndHandlesConflictWithNothing() external {
        Results.PublicDecryption memory a = result("5");
        bytes memory signature_ = sign(a, 4);
        for (uint256 i; i < 3; ++i) {
            Results.PublicDecryption memory b = result("6");
            if (i == 0) b.epoch = 1;
            if (i == 1) b.keyId = keccak256("another key");
            if (i == 2) b.handles = one(keccak256("another handle"));
            bytes memory other = sign(b, 4);
            vm.expectRevert(Evidence.NoConflict.selector);
            evidence.report(a, signature_, b, other);
        }
    }
}
