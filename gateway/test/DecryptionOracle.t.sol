// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {Batch} from "../contracts/common/Batch.sol";
import {AccessControl} from "../contracts/host/AccessControl.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {HostFixture} from "./HostFixture.sol";

/// @dev A consumer that behaves, or does not.
contract Consumer {
    enum Conduct {
        Good,
        Reverts,
        Burns,
        Reenters,
        ReturnsMuch
    }

    DecryptionOracle internal oracle;
    DecryptionOracle.Request internal again;
    Conduct public conduct;
    uint256 public calls;
    bytes public received;
    bool public isReentryRefused;

    constructor(DecryptionOracle oracle_) {
        oracle = oracle_;
    }

    function behave(Conduct conduct_, DecryptionOracle.Request calldata r) external {
        (conduct, again) = (conduct_, r);
    }

    function ask(bytes32[] calldata handles, uint32 gasLimit) external returns (uint256) {
        return oracle.request(handles, this.take.selector, gasLimit);
    }

    function take(uint256, bytes calldata result) external {
        if (conduct == Conduct.Reverts) revert("no");
        if (conduct == Conduct.Burns) while (true) {}
        ++calls;
        received = result;
        if (conduct == Conduct.Reenters) {
            try oracle.execute(again) {}
            catch {
                isReentryRefused = true;
            }
        }
        if (conduct == Conduct.ReturnsMuch) {
            assembly {
                return(0, 100000)
            }
        }
    }
}

contract DecryptionOracleTest is HostFixture {
    using Results for *;

    bytes internal constant RESULT = hex"0000000000000005";
    uint32 internal constant GAS = 200_000;

    Consumer internal consumer;
    bytes32 internal handle;
    DecryptionOracle.Request internal r;

    function setUp() public {
        deployHost();
        consumer = new Consumer(oracle);
        handle = input(1);
        accessControl.allow(handle, address(consumer));
        uint256 id = consumer.ask(one(handle), GAS);
        r = oracleRequest(id, address(consumer), consumer.take.selector, GAS, handle);
    }

    function test_askedDeliveredCalled() external {
        isTrue(accessControl.isPublic(handle), "public from the request on");
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.NotDelivered.selector, r.id));
        oracle.execute(r);
        deliver(r, RESULT);
        equal(consumer.calls(), 0, "delivery calls nobody");
        equal(keccak256(oracle.resultOf(r.id)), keccak256(RESULT), "pulled");
        isTrue(oracle.execute(r), "callback");
        equal(keccak256(consumer.received()), keccak256(RESULT), "received");
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.AlreadyExecuted.selector, r.id));
        oracle.execute(r);
        equal(consumer.calls(), 1, "once");
    }

    function test_onlyWhoMayReadAsks() external {
        Consumer thief = new Consumer(oracle);
        bytes32 mine = input(2);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAllowed.selector, mine, address(thief)));
        thief.ask(one(mine), GAS);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAuthorized.selector, address(this)));
        accessControl.publishFor(mine, address(this));
    }

    function test_aCallbackThatRevertsIsTriedAgain() external {
        consumer.behave(Consumer.Conduct.Reverts, r);
        deliver(r, RESULT);
        isTrue(!oracle.execute(r), "failed");
        isTrue(!oracle.executed(r.id), "open");
        equal(keccak256(oracle.resultOf(r.id)), keccak256(RESULT), "the result is there");
        consumer.behave(Consumer.Conduct.Good, r);
        vm.prank(address(0xF00D));
        isTrue(oracle.execute(r), "by anybody");
        equal(consumer.calls(), 1, "once");
    }

    function test_aCallbackBurnsItsOwnGasOnly() external {
        consumer.behave(Consumer.Conduct.Burns, r);
        deliver(r, RESULT);
        uint256 before = gasleft();
        isTrue(!oracle.execute(r), "failed");
        isTrue(before - gasleft() < GAS + 100_000, "no more than it asked for");
    }

    function test_aCallbackDoesNotReenter() external {
        consumer.behave(Consumer.Conduct.Reenters, r);
        deliver(r, RESULT);
        isTrue(oracle.execute(r), "callback");
        isTrue(consumer.isReentryRefused(), "refused");
        equal(consumer.calls(), 1, "once");
    }

    function test_whatACallbackReturnsIsIgnored() external {
        consumer.behave(Consumer.Conduct.ReturnsMuch, r);
        deliver(r, RESULT);
        isTrue(oracle.execute(r), "callback");
    }

    function test_nobodyStarvesACallback() external {
        deliver(r, RESULT);
        (bool isDone, bytes memory reason) =
            address(oracle).call{gas: GAS}(abi.encodeCall(DecryptionOracle.execute, (r)));
        isTrue(!isDone, "refused");
        equal(bytes4(reason), DecryptionOracle.NotEnoughGas.selector, "reason");
        isTrue(oracle.execute(r), "callback");
    }

    function test_deliveredOnce() external {
        deliver(r, RESULT);
        Results.PublicDecryption memory s = resultFor(r, hex"0000000000000006");
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.AlreadyDelivered.selector, r.id));
        oracle.deliver(r, s, signatures);
    }

    function test_resultsAreOfThisRequest() external {
        bytes32 other = input(2);
        accessControl.allow(other, address(consumer));
        uint256 id = consumer.ask(one(other), GAS);
        DecryptionOracle.Request memory second =
            oracleRequest(id, address(consumer), consumer.take.selector, GAS, other);
        Results.PublicDecryption memory s = resultFor(second, RESULT);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, r.id));
        oracle.deliver(r, s, signatures);
        s = resultFor(r, RESULT);
        s.handles = one(other);
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, r.id));
        oracle.deliver(r, s, signatures);
        s = resultFor(r, RESULT);
        s.keyId = keccak256("another key");
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, r.id));
        oracle.deliver(r, s, signatures);
        s = resultFor(r, new bytes(4097));
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, r.id));
        oracle.deliver(r, s, signatures);
    }

    function test_signaturesAreOfTheQuorumOverThisResult() external {
        Results.PublicDecryption memory s = resultFor(r, RESULT);
        bytes memory two = signed(domain, s.hash(), 0, 3);
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotEnoughSigners.selector, 2, 3));
        oracle.deliver(r, s, two);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        s.result = hex"0000000000000006";
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        oracle.deliver(r, s, signatures);
    }

    function test_aChangedRequestIsUnknown() external {
        deliver(r, RESULT);
        DecryptionOracle.Request memory other = r;
        other.gasLimit = 0;
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.NotTheRequest.selector, r.id));
        oracle.execute(other);
    }

    function test_fromABatch() external {
        Results.PublicDecryption memory s = resultFor(r, RESULT);
        bytes32[] memory leaves = new bytes32[](2);
        (leaves[0], leaves[1]) = (Batch.leaf(s.hash()), keccak256("another"));
        bytes32[] memory proof = one(leaves[1]);
        Results.ResultBatch memory batch = Results.ResultBatch(Batch.root(leaves), 2, 0);
        oracle.deliverFromBatch(r, s, batch, proof, signed(domain, batch.hash(), 0, THREE));
        equal(keccak256(oracle.resultOf(r.id)), keccak256(RESULT), "stored");
    }

    function test_theRewardIsTheDeliverers() external {
        vm.deal(address(this), 1 ether);
        bytes32 own = input(3);
        uint256 id = oracle.request{value: 5}(one(own), this.test_fromABatch.selector, 0);
        DecryptionOracle.Request memory mine = DecryptionOracle.Request(
            id, HOST, address(oracle), address(this), this.test_fromABatch.selector, 0, KEY,
            uint64(block.timestamp), 5, one(own)
        );
        Results.PublicDecryption memory s = resultFor(mine, RESULT);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.prank(address(0xF00D));
        oracle.deliver(mine, s, signatures);
        vm.prank(address(0xF00D));
        oracle.withdraw();
        equal(address(0xF00D).balance, 5, "paid");
        vm.prank(address(0xF00D));
        oracle.withdraw();
        equal(address(0xF00D).balance, 5, "once");
    }

    function testFuzz_successfulAtMostOnce(uint8[16] calldata conducts) external {
        deliver(r, RESULT);
        for (uint256 i; i < 16; ++i) {
            consumer.behave(Consumer.Conduct(conducts[i] % 5), r);
            try oracle.execute(r) {} catch {}
        }
        isTrue(consumer.calls() <= 1, "once");
    }
}
