// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Fees} from "../contracts/gateway/Fees.sol";
import {Limits} from "../contracts/gateway/Limits.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {RequestFixture} from "./RequestFixture.sol";

contract PublicDecryptionTest is RequestFixture {
    using Results for *;

    bytes internal constant RESULT = hex"0000000000000005";

    function setUp() public {
        deployActiveGateway();
        setTerms(100);
        vm.deal(address(this), 1 ether);
    }

    function test_askedAnsweredPaid() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        decryptions.answerPublic(r, RESULT, 0, signResult(r, RESULT, 11));
        equal(decryptions.answers(r.id), Requests.publicResult(r, 0, RESULT), "answer");
        decryptions.divide(0, 11);
        equal(decryptions.owed(node(0, 4).sender), FEE / 3, "a third");
        equal(decryptions.owed(node(0, 3).sender), 0, "who did not sign");
        vm.prank(node(0, 4).sender);
        decryptions.withdraw();
        equal(node(0, 4).sender.balance, FEE / 3, "paid");
    }

    function test_notWithoutPermission() external {
        bytes32 handle = committed(1, address(0xBEEF));
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotPublic.selector, handle));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
        bytes32 open = committed(2, address(0));
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotPublic.selector, open));
        decryptions.requestPublic{value: FEE}(HOST + 1, CONSUMER, 0, one(open), 600);
    }

    function test_notWithoutACommittedCiphertext() external {
        bytes32 handle = ciphertext(1).handle;
        commit(ciphertext(1), 0);
        for (uint256 i; i < 2; ++i) mirror(handle, address(0), 1, true, i);
        vm.expectRevert(abi.encodeWithSelector(Ciphertexts.BadCiphertext.selector, handle));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
    }

    function test_eightBitsOfARequestChangedIsAnotherRequest() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        bytes memory signatures = signResult(r, RESULT, THREE);
        Requests.Request memory other = abi.decode(abi.encode(r), (Requests.Request));
        other.keyId = keccak256("another key");
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, r.id));
        decryptions.answerPublic(other, RESULT, 0, signatures);
        other = abi.decode(abi.encode(r), (Requests.Request));
        other.handles = one(committed(2, address(0)));
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, r.id));
        decryptions.answerPublic(other, RESULT, 0, signatures);
    }

    function test_signaturesAreOverTheResultTheRequestAndTheEpoch() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        Requests.Request memory second = requestPublic(committed(2, address(0)), 0);
        bytes memory signatures = signResult(r, RESULT, THREE);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerPublic(r, hex"0000000000000006", 0, signatures);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerPublic(second, RESULT, 0, signatures);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.EpochOver.selector, 1));
        decryptions.answerPublic(r, RESULT, 1, signatures);
        bytes memory two = signResult(r, RESULT, 3);
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotEnoughSigners.selector, 2, 3));
        decryptions.answerPublic(r, RESULT, 0, two);
        bytes memory twice = bytes.concat(two, signResult(r, RESULT, 1));
        vm.expectRevert(abi.encodeWithSelector(Quorum.DuplicateSigner.selector, 1));
        decryptions.answerPublic(r, RESULT, 0, twice);
        bytes memory high = bytes.concat(two, highS(signResult(r, RESULT, 4)));
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignature.selector, 2));
        decryptions.answerPublic(r, RESULT, 0, high);
    }

    function test_answeredOnce() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        bytes memory signatures = signResult(r, RESULT, THREE);
        decryptions.answerPublic(r, RESULT, 0, signatures);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotOpen.selector, r.id));
        decryptions.answerPublic(r, RESULT, 0, signatures);
        vm.warp(r.expiresAt + 1);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotOpen.selector, r.id));
        decryptions.expire(r);
    }

    function test_expiredIsRefundedOnceAndNeverAnswered() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        bytes memory signatures = signResult(r, RESULT, THREE);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.RequestNotOver.selector, r.id));
        decryptions.expire(r);
        vm.warp(r.expiresAt + 1);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.RequestOver.selector, r.id));
        decryptions.answerPublic(r, RESULT, 0, signatures);
        decide(address(registry), abi.encodeCall(Registry.pause, ()));
        decryptions.expire(r);
        equal(decryptions.owed(address(this)), FEE, "refund");
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotOpen.selector, r.id));
        decryptions.expire(r);
    }

    function test_nobodyStandsInARelayersWay() external {
        bytes32 handle = committed(1, address(0));
        bytes32 other = committed(2, address(0));
        decryptions.requestPublic{value: FEE}(HOST, address(0xBAD), HOST_REQUEST, one(handle), 600);
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, HOST_REQUEST, one(other), 600);
        requestPublic(handle, HOST_REQUEST);
    }

    function test_relayersDoNotDoubleARequest() external {
        bytes32 handle = committed(1, address(0));
        Requests.Request memory r = requestPublic(handle, HOST_REQUEST);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.AlreadyCarried.selector, r.id));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, HOST_REQUEST, one(handle), 600);
        vm.warp(r.expiresAt + 1);
        decryptions.expire(r);
        requestPublic(handle, HOST_REQUEST);
    }

    function test_pauseStopsRequestsNotAnswers() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), HOST_REQUEST);
        bytes32 handle = committed(2, address(0));
        decide(address(registry), abi.encodeCall(Registry.pause, ()));
        vm.expectRevert(Decryptions.RequestsPaused.selector);
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
        decryptions.answerPublic(r, RESULT, 0, signResult(r, RESULT, THREE));
    }

    function test_limits() external {
        bytes32 handle = committed(1, address(0));
        bytes32[] memory many = new bytes32[](65);
        for (uint256 i; i < 65; ++i) many[i] = handle;
        vm.expectRevert(abi.encodeWithSelector(Limits.TooManyHandles.selector, 65));
        decryptions.requestPublic{value: 65 * FEE}(HOST, CONSUMER, 0, many, 600);
        vm.expectRevert(abi.encodeWithSelector(Limits.TooManyHandles.selector, 0));
        decryptions.requestPublic(HOST, CONSUMER, 0, new bytes32[](0), 600);
        bytes32[] memory heavy = new bytes32[](43);
        for (uint256 i; i < 43; ++i) heavy[i] = handle;
        vm.expectRevert(abi.encodeWithSelector(Limits.TooManyBytes.selector, 43 * 16 * 8192 * 3));
        decryptions.requestPublic{value: 43 * FEE}(HOST, CONSUMER, 0, heavy, 600);
        vm.expectRevert(abi.encodeWithSelector(Limits.BadLifetime.selector, 29));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 29);
        vm.expectRevert(abi.encodeWithSelector(Fees.WrongFee.selector, FEE - 1, FEE));
        decryptions.requestPublic{value: FEE - 1}(HOST, CONSUMER, 0, one(handle), 600);
    }

    function test_theRateIsPerRequesterAndWindow() external {
        setTerms(2);
        bytes32 handle = committed(1, address(0));
        for (uint256 i; i < 2; ++i) requestPublic(handle, 0);
        vm.expectRevert(abi.encodeWithSelector(Limits.RateExceeded.selector, address(this)));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
        vm.deal(address(0xF00D), 1 ether);
        vm.prank(address(0xF00D));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
        vm.warp(block.timestamp + 3600);
        requestPublic(handle, 0);
    }

    function test_aDestroyedKeyDecryptsNothing() external {
        bytes32 handle = committed(1, address(0));
        Requests.Request memory r = requestPublic(handle, 0);
        moveKey(KEY, 4);
        moveKey(KEY, 6);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.KeyDoesNotDecrypt.selector, KEY));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 600);
        decryptions.answerPublic(r, RESULT, 0, signResult(r, RESULT, THREE));
    }

    function test_batchesAnswerManyAndPassByWhatIsDone() external {
        Requests.Answer[] memory batch = new Requests.Answer[](3);
        for (uint256 i; i < 3; ++i) {
            batch[i].request = requestPublic(committed(i, address(0)), bytes32(i + 1));
            batch[i].result = abi.encodePacked(uint64(i));
        }
        Requests.Request memory first = batch[0].request;
        decryptions.answerPublic(first, batch[0].result, 0, signResult(first, batch[0].result, THREE));
        bytes memory signatures = signBatch(batch, 14);
        decryptions.answerBatch(0, batch, signatures);
        for (uint256 i; i < 3; ++i) {
            equal(
                decryptions.answers(batch[i].request.id),
                Requests.publicResult(batch[i].request, 0, batch[i].result),
                "answered"
            );
        }
        equal(decryptions.pots(0, 14), 2 * FEE, "two fees for the batch's signers");
        decryptions.answerBatch(0, batch, signatures);
        equal(decryptions.pots(0, 14), 2 * FEE, "and never again");
        batch[2].result = abi.encodePacked(uint64(77));
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerBatch(0, batch, signatures);
    }

    function test_transfersAreAttested() external {
        bytes32 handle = committed(1, address(0xBEEF));
        vm.expectRevert(abi.encodeWithSelector(Registry.UnknownChain.selector, HOST + 1));
        decryptions.requestTransfer{value: FEE}(handle, HOST, HOST + 1, CONSUMER, 600);
        decide(address(registry), abi.encodeCall(Registry.setHostChain, (hostChain(HOST + 1))));
        Requests.Request memory r = requestTransfer(handle);
        Results.HandleTransfer memory s = Results.HandleTransfer(
            r.id, handle, HOST, HOST + 1, CONSUMER, KEY, 1, 3, 3920608, 0
        );
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        s.account = address(0xBAD);
        bytes memory forAnother = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.WrongTransfer.selector, r.id));
        decryptions.answerTransfer(r, s, forAnother);
        s.account = CONSUMER;
        s.bound = 1;
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerTransfer(r, s, signatures);
        s.bound = 3920608;
        decryptions.answerTransfer(r, s, signatures);
        equal(decryptions.answers(r.id), s.hash(), "attested");
        equal(decryptions.pots(0, THREE), FEE, "fee");
    }
}
