// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../contracts/common/Batch.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Results} from "../contracts/common/Results.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {HostFixture} from "./HostFixture.sol";
import {RequestFixture} from "./RequestFixture.sol";
import {Checks} from "./Vm.sol";

/// @title What a transaction costs
/// @notice 21000, its calldata, and its execution on cold storage; refunds are not counted.
abstract contract Meter is Checks {
    function calldataGas(bytes memory data) internal pure returns (uint256 gas) {
        for (uint256 i; i < data.length; ++i) gas += data[i] == 0 ? 4 : 16;
    }

    function measured(string memory name, address target, uint256 value, bytes memory data)
        internal
        returns (uint256 total)
    {
        uint256 before = gasleft();
        (bool isDone, bytes memory reason) = target.call{value: value}(data);
        uint256 used = before - gasleft();
        total = used + 21_000 + calldataGas(data);
        if (!isDone) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
        emit log_named_uint(name, total);
    }
}

contract HostGasTest is HostFixture, Meter {
    using Results for *;
    using Membership for *;

    function setUp() public {
        deployHost();
    }

    function test_gas_verifyNine() external {
        KmsVerifier large = new KmsVerifier(GATEWAY_CHAIN, REGISTRY, 0, 4, signersIn(0, 13));
        bytes memory signatures = signed(large.domain(), keccak256("x"), 0, 511);
        vm.cool(address(large));
        uint256 total =
            measured("KmsVerifier.verify, 9 of 13", address(large), 0, abi.encodeCall(KmsVerifier.verify, (0, keccak256("x"), signatures)));
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

    function coolAll() private {
        vm.cool(address(verifier));
        vm.cool(address(keyring));
        vm.cool(address(accessControl));
        vm.cool(address(compute));
        vm.cool(address(oracle));
        vm.cool(address(submitters));
    }

    function test_gas_compute() external {
        bytes32 digest = keccak256("envelope");
        bytes memory proof = inputProof(address(this), address(this), digest);
        (bytes32 a, bytes32 b) = (input(1), input(2));
        coolAll();
        measured(
            "Compute.input", address(compute), 0,
            abi.encodeCall(Compute.input, (digest, KEY, Handles.SCALAR, address(this), proof))
        );
        coolAll();
        measured("Compute.add", address(compute), 0, abi.encodeCall(Compute.add, (a, b)));
        coolAll();
        measured("Compute.mul", address(compute), 0, abi.encodeCall(Compute.mul, (a, b)));
        coolAll();
        measured("Compute.mulPlain", address(compute), 0, abi.encodeCall(Compute.mulPlain, (a, 7)));
    }

    function test_gas_oracle() external {
        bytes32 a = input(1);
        coolAll();
        measured(
            "DecryptionOracle.request, 1 handle", address(oracle), 0,
            abi.encodeCall(DecryptionOracle.request, (one(a), this.take.selector, 50_000))
        );
        DecryptionOracle.Request memory r = oracleRequest(1, address(this), this.take.selector, 50_000, a);
        Results.PublicDecryption memory s = resultFor(r, hex"0000000000000005");
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        coolAll();
        measured(
            "DecryptionOracle.deliver, 3 of 4", address(oracle), 0,
            abi.encodeCall(DecryptionOracle.deliver, (r, s, signatures))
        );
        coolAll();
        measured(
            "DecryptionOracle.execute, empty callback", address(oracle), 0, abi.encodeCall(DecryptionOracle.execute, (r))
        );
    }

    function test_gas_oracleBatch64() external {
        bytes32 a = input(1);
        uint256 id = oracle.request(one(a), this.take.selector, 50_000);
        DecryptionOracle.Request memory r = oracleRequest(id, address(this), this.take.selector, 50_000, a);
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
        coolAll();
        measured(
            "DecryptionOracle.deliverFromBatch, known batch of 64", address(oracle), 0,
            abi.encodeCall(DecryptionOracle.deliverFromBatch, (r, s, batch, proof, bytes("")))
        );
    }

    function take(uint256, bytes calldata) external {}
}

contract GatewayGasTest is RequestFixture, Meter {
    bytes internal constant RESULT = hex"0000000000000005";

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
    }

    function coolAll() private {
        vm.cool(address(registry));
        vm.cool(address(keys));
        vm.cool(address(ciphertexts));
        vm.cool(address(decryptions));
    }

    function test_gas_commit() external {
        Ciphertexts.Ciphertext[] memory list = new Ciphertexts.Ciphertext[](1);
        list[0] = ciphertext(1);
        bytes memory call = abi.encodeCall(Ciphertexts.commit, (list, new Ciphertexts.Access[](0)));
        coolAll();
        vm.prank(coprocessors()[0]);
        measured("Ciphertexts.commit, first of 3", address(ciphertexts), 0, call);
        coolAll();
        vm.prank(coprocessors()[1]);
        measured("Ciphertexts.commit, second of 3 (commits)", address(ciphertexts), 0, call);
    }

    function test_gas_public() external {
        bytes32 handle = committed(1, address(0));
        coolAll();
        measured(
            "Decryptions.requestPublic, 1 handle", address(decryptions), FEE,
            abi.encodeCall(Decryptions.requestPublic, (HOST, CONSUMER, HOST_REQUEST, one(handle), 600))
        );
        Requests.Request memory r = requestPublic(handle, 0);
        bytes memory signatures = signResult(r, RESULT, THREE);
        coolAll();
        measured(
            "Decryptions.answerPublic, 3 of 4", address(decryptions), 0,
            abi.encodeCall(Decryptions.answerPublic, (r, RESULT, 0, signatures))
        );
    }

    function test_gas_batch1() external {
        measuredBatch(1);
    }

    function test_gas_batch64() external {
        measuredBatch(64);
    }

    function measuredBatch(uint256 size) private {
        Requests.Answer[] memory batch = new Requests.Answer[](size);
        for (uint256 i; i < size; ++i) {
            batch[i].request = requestPublic(committed(i, address(0)), 0);
            batch[i].result = RESULT;
        }
        bytes memory signatures = signBatch(batch, THREE);
        coolAll();
        uint256 total = measured(
            size == 1 ? "Decryptions.answerBatch, 1" : "Decryptions.answerBatch, 64", address(decryptions), 0,
            abi.encodeCall(Decryptions.answerBatch, (0, batch, signatures))
        );
        emit log_named_uint(size == 1 ? "per result in a batch of 1" : "per result in a batch of 64", total / size);
    }

    function test_gas_user() external {
        bytes32 handle = userHandle(1);
        address user = vm.addr(USER_SECRET);
        bytes memory permitSignature = signPermit(permitOf(user, address(0)));
        coolAll();
        measured(
            "Decryptions.requestUser, 1 handle", address(decryptions), FEE,
            abi.encodeCall(Decryptions.requestUser, (permitOf(user, address(0)), permitSignature, one(handle), 600))
        );
        Requests.Request memory r = requestUser(handle, permitOf(user, address(0)), permitSignature, 1);
        bytes memory signatures = signShares(r, 3);
        coolAll();
        measured(
            "Decryptions.answerUser, 3 shares", address(decryptions), 0,
            abi.encodeCall(Decryptions.answerUser, (r, 0, THREE, shareDigests(3), signatures))
        );
    }
}
