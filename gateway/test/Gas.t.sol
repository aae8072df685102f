// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../contracts/common/Batch.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Results} from "../contracts/common/Results.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {GatewayMeter, HostMeter} from "./Meter.sol";

contract HostGasTest is HostMeter {
    using Results for *;
    using Membership for *;

    function setUp() public {
        deployHost();
    }

    function test_gas_verifyNine() external {
        KmsVerifier large = new KmsVerifier(GATEWAY_CHAIN, REGISTRY, 0, 4, signersIn(0, 13));
        bytes memory signatures = signed(large.domain(), keccak256("x"), 0, 511);
        vm.cool(address(large));
        bytes memory call = abi.encodeCall(KmsVerifier.verify, (0, keccak256("x"), signatures));
        uint256 total = measured("KmsVerifier.verify, 9 of 13", address(large), 0, call);
        isTrue(total - 21_000 <= 90_000, "90k over the base");
    }

    function test_gas_verifyThree() external {
        bytes memory signatures = signed(domain, keccak256("x"), 0, 7);
        vm.cool(address(verifier));
        bytes memory call = abi.encodeCall(KmsVerifier.verify, (0, keccak256("x"), signatures));
        measured("KmsVerifier.verify, 3 of 4", address(verifier), 0, call);
    }

    function test_gas_changeCommittee() external {
        Membership.CommitteeChange memory c = Membership.CommitteeChange(0, 1, 1, signersIn(1, 4), 600);
        bytes memory signatures = signed(domain, c.hash(), 0, 7);
        vm.cool(address(verifier));
        bytes memory call = abi.encodeCall(KmsVerifier.changeCommittee, (c, signatures));
        measured("KmsVerifier.changeCommittee, (4,1)", address(verifier), 0, call);
    }
}

contract Taker {
    function take(uint256, bytes calldata) external {}
}

contract OracleGasTest is HostMeter {
    using Results for *;

    Taker private _taker;
    bytes private _request;
    bytes private _deliver;
    bytes private _deliverFromBatch;
    bytes private _execute;

    function setUp() public {
        deployHost();
        _taker = new Taker();
        _request = abi.encodeCall(DecryptionOracle.request, (one(input(1)), Taker.take.selector, 50_000));
        setUpExecute(asked(2));
        DecryptionOracle.Request memory r = asked(3);
        Results.PublicDecryption memory s = resultFor(r, hex"0000000000000005");
        _deliver = abi.encodeCall(DecryptionOracle.deliver, (r, s, signed(domain, s.hash(), 0, THREE)));
        setUpBatch(asked(4));
    }

    function asked(uint256 seed) private returns (DecryptionOracle.Request memory) {
        bytes32 a = input(seed);
        accessControl.allow(a, address(_taker));
        vm.prank(address(_taker));
        uint256 id = oracle.request(one(a), Taker.take.selector, 50_000);
        return oracleRequest(id, address(_taker), Taker.take.selector, 50_000, a);
    }

    function setUpExecute(DecryptionOracle.Request memory r) private {
        deliver(r, hex"0000000000000005");
        _execute = abi.encodeCall(DecryptionOracle.execute, (r));
    }

    function setUpBatch(DecryptionOracle.Request memory r) private {
        Results.PublicDecryption memory s = resultFor(r, hex"0000000000000005");
        bytes32[] memory proof = new bytes32[](6);
        for (uint256 i; i < 6; ++i) proof[i] = keccak256(abi.encode("sibling", i));
        bytes32 root = Batch.leaf(s.hash());
        for (uint256 i; i < 6; ++i) {
            bytes32[] memory pair = new bytes32[](2);
            (pair[0], pair[1]) = (root, proof[i]);
            root = Batch.root(pair);
        }
        Results.ResultBatch memory batch = Results.ResultBatch(root, 64, 0);
        verifier.verifyBatch(batch, signed(domain, batch.hash(), 0, THREE));
        _deliverFromBatch = abi.encodeCall(DecryptionOracle.deliverFromBatch, (r, s, batch, proof, bytes("")));
    }

    function test_gas_request() external {
        cold("DecryptionOracle.request, 1 handle", address(oracle), _request);
    }

    function test_gas_deliver() external {
        cold("DecryptionOracle.deliver, 3 of 4", address(oracle), _deliver);
    }

    function test_gas_deliverFromBatch() external {
        cold("DecryptionOracle.deliverFromBatch, known batch of 64", address(oracle), _deliverFromBatch);
    }

    function test_gas_execute() external {
        cold("DecryptionOracle.execute, empty callback", address(oracle), _execute);
    }
}

contract GatewayGasTest is GatewayMeter {
    bytes internal constant RESULT = hex"0000000000000005";

    bytes private _commit;
    bytes private _commitSecond;
    bytes private _requestPublic;
    bytes private _answerPublic;
    bytes private _requestUser;
    bytes private _answerUser;
    mapping(uint256 => bytes) private _answerBatch;

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
        _commit = commitCall(1001);
        _commitSecond = commitCall(1002);
        commit(ciphertext(1002), 0);
        setUpPublic();
        setUpUser();
        setUpBatch(1);
        setUpBatch(64);
    }

    function commitCall(uint256 seed) private pure returns (bytes memory) {
        Ciphertexts.Ciphertext[] memory list = new Ciphertexts.Ciphertext[](1);
        list[0] = ciphertext(seed);
        return abi.encodeCall(Ciphertexts.commit, (list, new Ciphertexts.Access[](0)));
    }

    function setUpPublic() private {
        bytes32 handle = committed(1003, address(0));
        bytes32[] memory handles = one(handle);
        _requestPublic = abi.encodeCall(Decryptions.requestPublic, (HOST, CONSUMER, HOST_REQUEST, handles, 600));
        Requests.Request memory r = requestPublic(handle, 0);
        _answerPublic = abi.encodeCall(Decryptions.answerPublic, (r, RESULT, 0, signResult(r, RESULT, THREE)));
    }

    function setUpUser() private {
        bytes32 handle = userHandle(1004);
        Results.UserDecryptionRequest memory permit = permitOf(vm.addr(USER_SECRET), address(0));
        bytes memory signature = signPermit(permit);
        _requestUser = abi.encodeCall(Decryptions.requestUser, (permit, signature, one(handle), 600));
        Requests.Request memory r = requestUser(handle, permit, signature, 1);
        _answerUser = abi.encodeCall(Decryptions.answerUser, (r, 0, THREE, shareDigests(3), signShares(r, 3)));
    }

    function setUpBatch(uint256 size) private {
        Requests.Answer[] memory batch = new Requests.Answer[](size);
        for (uint256 i; i < size; ++i) {
            batch[i].request = requestPublic(committed(100 * size + i, address(0)), 0);
            batch[i].result = RESULT;
        }
        _answerBatch[size] = abi.encodeCall(Decryptions.answerBatch, (0, batch, signBatch(batch, THREE)));
    }

    function test_gas_commit() external {
        coldBy(coprocessors()[0], "Ciphertexts.commit, first of 3", address(ciphertexts), _commit);
    }

    function test_gas_commitSecond() external {
        coldBy(coprocessors()[1], "Ciphertexts.commit, second of 3 (commits)", address(ciphertexts), _commitSecond);
    }

    function test_gas_requestPublic() external {
        coolAll();
        measured("Decryptions.requestPublic, 1 handle", address(decryptions), FEE, _requestPublic);
    }

    function test_gas_answerPublic() external {
        cold("Decryptions.answerPublic, 3 of 4", address(decryptions), _answerPublic);
    }

    function test_gas_requestUser() external {
        coolAll();
        measured("Decryptions.requestUser, 1 handle", address(decryptions), FEE, _requestUser);
    }

    function test_gas_answerUser() external {
        cold("Decryptions.answerUser, 3 shares", address(decryptions), _answerUser);
    }

    function test_gas_batch1() external {
        measuredBatch("Decryptions.answerBatch, 1", "per result in a batch of 1", 1);
    }

    function test_gas_batch64() external {
        measuredBatch("Decryptions.answerBatch, 64", "per result in a batch of 64", 64);
    }

    function measuredBatch(string memory name, string memory perResult, uint256 size) private {
        coolAll();
        uint256 total = measured(name, address(decryptions), 0, _answerBatch[size]);
        emit log_named_uint(perResult, total / size);
    }
}
