// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../contracts/common/Batch.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {Parties} from "./Parties.sol";

contract KmsVerifierTest is Parties {
    using Results for *;
    using Membership for *;

    uint256 internal constant NINE = 511;
    bytes32 internal constant STATEMENT = keccak256("statement");

    KmsVerifier internal verifier;
    bytes32 internal domain;

    function setUp() public {
        vm.chainId(31338);
        vm.warp(1_800_000_000);
        verifier = new KmsVerifier(31337, address(0x4E6), 0, 4, signersIn(0, 13));
        domain = verifier.domain();
    }

    function test_nineOfThirteen() external view {
        equal(verifier.verify(0, STATEMENT, signed(domain, STATEMENT, 0, NINE)), NINE, "parties");
        verifier.verify(0, STATEMENT, signed(domain, STATEMENT, 0, 8191));
    }

    function test_eightAreTooFew() external {
        bytes memory eight = signed(domain, STATEMENT, 0, 255);
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotEnoughSigners.selector, 8, 9));
        verifier.verify(0, STATEMENT, eight);
    }

    function test_wrongDuplicateAndHighSignaturesAreRefused() external {
        bytes memory eight = signed(domain, STATEMENT, 0, 255);
        bytes memory duplicate = bytes.concat(eight, signed(domain, STATEMENT, 0, 1));
        bytes memory high = bytes.concat(eight, highS(signed(domain, STATEMENT, 0, 256)));
        bytes memory outsider = bytes.concat(eight, signed(domain, STATEMENT, 7, 256));
        bytes memory other = bytes.concat(eight, signed(domain, keccak256("other"), 0, 256));
        bytes memory zeros = bytes.concat(eight, new bytes(65));
        vm.expectRevert(abi.encodeWithSelector(Quorum.DuplicateSigner.selector, 1));
        verifier.verify(0, STATEMENT, duplicate);
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignature.selector, 8));
        verifier.verify(0, STATEMENT, high);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        verifier.verify(0, STATEMENT, outsider);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        verifier.verify(0, STATEMENT, other);
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignature.selector, 8));
        verifier.verify(0, STATEMENT, zeros);
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignatureLength.selector, 65 * 65));
        verifier.verify(0, STATEMENT, new bytes(65 * 65));
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.WrongEpoch.selector, 3));
        verifier.verify(3, STATEMENT, eight);
    }

    function testFuzz_anySubsetBelowTheQuorumIsRefused(uint256 parties) external {
        parties &= 8191;
        bytes memory signatures = signed(domain, STATEMENT, 0, parties);
        if (Quorum.size(parties) < 9) vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        verifier.verify(0, STATEMENT, signatures);
    }

    function testFuzz_aChangedByteIsNoSignature(uint16 position, uint8 change) external {
        vm.assume(change != 0);
        bytes memory signatures = signed(domain, STATEMENT, 0, NINE);
        signatures[position % signatures.length] ^= bytes1(change);
        (bool isTaken,) =
            address(verifier).staticcall(abi.encodeCall(KmsVerifier.verify, (0, STATEMENT, signatures)));
        isTrue(!isTaken, "refused");
    }

    function test_theCommitteeHandsOver() external {
        (Membership.CommitteeChange memory c, bytes memory signatures) = change(0, 1, 600);
        verifier.changeCommittee(c, signatures);
        equal(verifier.currentEpoch(), 1, "epoch");
        verifier.verify(1, STATEMENT, signed(domain, STATEMENT, 1, 7));
        bytes memory old = signed(domain, STATEMENT, 0, NINE);
        verifier.verify(0, STATEMENT, old);
        vm.warp(block.timestamp + 601);
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.EpochOver.selector, 0));
        verifier.verify(0, STATEMENT, old);
        // The old committee cannot hand over a second time.
        (c, signatures) = change(0, 1, 600);
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.WrongEpoch.selector, 0));
        verifier.changeCommittee(c, signatures);
    }

    function test_handingOverNeedsTheQuorumAndTheNextEpoch() external {
        (Membership.CommitteeChange memory c,) = change(0, 1, 600);
        bytes memory eight = signed(domain, c.hash(), 0, 255);
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotEnoughSigners.selector, 8, 9));
        verifier.changeCommittee(c, eight);
        bytes memory byTheNew = signed(domain, c.hash(), 1, 15);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        verifier.changeCommittee(c, byTheNew);
        bytes memory signatures;
        (c, signatures) = change(0, 2, 600);
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.WrongEpoch.selector, 0));
        verifier.changeCommittee(c, signatures);
        (c, signatures) = change(0, 1, 8 days);
        vm.expectRevert(KmsVerifier.BadCommittee.selector);
        verifier.changeCommittee(c, signatures);
        (c, signatures) = change(0, 1, 600);
        c.signers[3] = c.signers[2];
        signatures = signed(domain, c.hash(), 0, NINE);
        vm.expectRevert(KmsVerifier.BadCommittee.selector);
        verifier.changeCommittee(c, signatures);
        for (uint8 t = 0; t < 3; t += 2) {
            (c,) = change(0, 1, 600);
            c.t = t;
            signatures = signed(domain, c.hash(), 0, NINE);
            vm.expectRevert(KmsVerifier.BadCommittee.selector);
            verifier.changeCommittee(c, signatures);
        }
    }

    function test_resultsAreForThisChainAndVerifier() external {
        Results.PublicDecryption memory r = result(1);
        verifier.verifyResult(r, signed(domain, r.hash(), 0, NINE));
        r.destinationChainId = 31339;
        bytes memory signatures = signed(domain, r.hash(), 0, NINE);
        vm.expectRevert(
            abi.encodeWithSelector(KmsVerifier.WrongDestination.selector, 31339, address(verifier))
        );
        verifier.verifyResult(r, signatures);
        r = result(1);
        r.verifier = address(1);
        signatures = signed(domain, r.hash(), 0, NINE);
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.WrongDestination.selector, 31338, address(1)));
        verifier.verifyResult(r, signatures);
    }

    function test_anotherGatewaysSignaturesAreNoGood() external {
        KmsVerifier other = new KmsVerifier(1, address(0x4E6), 0, 4, signersIn(0, 13));
        bytes memory signatures = signed(domain, STATEMENT, 0, NINE);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        other.verify(0, STATEMENT, signatures);
    }

    function test_batches() external {
        bytes32[] memory leaves = new bytes32[](2);
        for (uint256 i; i < 2; ++i) leaves[i] = Batch.leaf(result(i).hash());
        (bytes32 left, bytes32 right) = (leaves[0], leaves[1]);
        Results.ResultBatch memory batch = Results.ResultBatch(Batch.root(leaves), 2, 0);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = right;
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.BatchNotVerified.selector, batch.hash()));
        verifier.verifyResultInBatch(result(0), batch, proof);
        bytes memory eight = signed(domain, batch.hash(), 0, 255);
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotEnoughSigners.selector, 8, 9));
        verifier.verifyBatch(batch, eight);
        verifier.verifyBatch(batch, signed(domain, batch.hash(), 0, NINE));
        verifier.verifyResultInBatch(result(0), batch, proof);
        vm.expectRevert(abi.encodeWithSelector(KmsVerifier.NotInBatch.selector, right));
        verifier.verifyResultInBatch(result(1), batch, proof);
        proof[0] = left;
        verifier.verifyResultInBatch(result(1), batch, proof);
        Results.PublicDecryption memory other = result(0);
        other.epoch = 1;
        vm.expectPartialRevert(KmsVerifier.NotInBatch.selector);
        verifier.verifyResultInBatch(other, batch, proof);
    }

    function result(uint256 id) private view returns (Results.PublicDecryption memory r) {
        (r.requestId, r.destinationChainId, r.verifier) = (id, 31338, address(verifier));
        (r.handles, r.result) = (new bytes32[](1), hex"0000000000000005");
    }

    function change(uint64 fromEpoch, uint64 toEpoch, uint64 grace)
        private
        view
        returns (Membership.CommitteeChange memory c, bytes memory signatures)
    {
        c = Membership.CommitteeChange(fromEpoch, toEpoch, 1, signersIn(toEpoch, 4), grace);
        signatures = signed(domain, c.hash(), fromEpoch, NINE);
    }
}
