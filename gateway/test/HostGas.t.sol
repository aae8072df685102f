// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {Results} from "../contracts/common/Results.sol";
import {AccessControl} from "../contracts/host/AccessControl.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {Keyring} from "../contracts/host/Keyring.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {Submitters} from "../contracts/host/Submitters.sol";
import {HostMeter} from "./Meter.sol";

contract ComputeGasTest is HostMeter {
    using Results for *;

    bytes32 private _a;
    bytes32 private _b;
    bytes private _input;

    function setUp() public {
        deployHost();
        (_a, _b) = (input(1), input(2));
        bytes32 digest = keccak256("envelope");
        bytes memory proof = inputProof(address(this), address(this), digest);
        _input = abi.encodeCall(Compute.input, (digest, KEY, Handles.SCALAR, address(this), proof));
    }

    function test_gas_input() external {
        cold("Compute.input", address(compute), _input);
    }

    function test_gas_add() external {
        cold("Compute.add", address(compute), abi.encodeCall(Compute.add, (_a, _b)));
    }

    function test_gas_mul() external {
        cold("Compute.mul", address(compute), abi.encodeCall(Compute.mul, (_a, _b)));
    }

    function test_gas_mulPlain() external {
        cold("Compute.mulPlain", address(compute), abi.encodeCall(Compute.mulPlain, (_a, 7)));
    }

    function test_gas_sub() external {
        cold("Compute.sub", address(compute), abi.encodeCall(Compute.sub, (_a, _b)));
    }

    function test_gas_addPlain() external {
        cold("Compute.addPlain", address(compute), abi.encodeCall(Compute.addPlain, (_a, 7)));
    }

    function test_gas_negate() external {
        cold("Compute.negate", address(compute), abi.encodeCall(Compute.negate, (_a)));
    }

    function test_gas_switchDown() external {
        cold("Compute.switchDown", address(compute), abi.encodeCall(Compute.switchDown, (_a)));
    }

    function test_gas_admit() external {
        bytes32 handle = Handles.derive(keccak256("far away"), 31339, Handles.SCALAR);
        Results.HandleTransfer memory s =
            Results.HandleTransfer(5, handle, 31339, HOST, address(this), KEY, Handles.SCALAR, 3, 3920608, 0);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        cold("Compute.admit, 3 of 4", address(compute), abi.encodeCall(Compute.admit, (s, signatures)));
    }
}

contract AccessGasTest is HostMeter {
    address private constant FRIEND = address(0xF12E);
    bytes32 private _a;

    function setUp() public {
        deployHost();
        _a = input(1);
        accessControl.allow(_a, FRIEND);
    }

    function test_gas_open() external {
        AccessControl another = new AccessControl();
        bytes memory call = abi.encodeCall(AccessControl.open, (address(compute), address(oracle)));
        cold("AccessControl.open", address(another), call);
    }

    function test_gas_allow() external {
        cold("AccessControl.allow", address(accessControl), abi.encodeCall(AccessControl.allow, (_a, address(0xBEEF))));
    }

    function test_gas_revoke() external {
        cold("AccessControl.revoke", address(accessControl), abi.encodeCall(AccessControl.revoke, (_a, FRIEND)));
    }

    function test_gas_allowOn() external {
        bytes memory call = abi.encodeCall(AccessControl.allowOn, (_a, HOST + 1, FRIEND, true));
        cold("AccessControl.allowOn", address(accessControl), call);
    }

    function test_gas_publish() external {
        cold("AccessControl.publish", address(accessControl), abi.encodeCall(AccessControl.publish, (_a)));
    }

    function test_gas_setSubmitter() external {
        cold("Submitters.set", address(submitters), abi.encodeCall(Submitters.set, (FRIEND, true)));
    }
}

contract KeyringGasTest is HostMeter {
    using Ceremonies for *;
    using Results for *;

    function setUp() public {
        deployHost();
    }

    function test_gas_add() external {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(3, keccak256("k2"), 2, 0, keccak256("record"));
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        cold("Keyring.add, 3 of 4", address(keyring), abi.encodeCall(Keyring.add, (s, signatures)));
    }

    function test_gas_move() external {
        Ceremonies.LifecycleTransition memory s = Ceremonies.LifecycleTransition(3, KEY, 2, 3, 0);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        cold("Keyring.move, 3 of 4", address(keyring), abi.encodeCall(Keyring.move, (s, signatures)));
    }

    function test_gas_verifyBatch() external {
        Results.ResultBatch memory batch = Results.ResultBatch(keccak256("root"), 64, 0);
        bytes memory signatures = signed(domain, batch.hash(), 0, THREE);
        bytes memory call = abi.encodeCall(KmsVerifier.verifyBatch, (batch, signatures));
        cold("KmsVerifier.verifyBatch, 3 of 4", address(verifier), call);
    }
}

contract RewardGasTest is HostMeter {
    using Results for *;

    address private constant DELIVERER = address(0xF00D);

    function setUp() public {
        deployHost();
        vm.deal(address(this), 1 ether);
        vm.deal(DELIVERER, 1 ether);
        bytes32 a = input(1);
        uint256 id = oracle.request{value: 5}(one(a), this.take.selector, 0);
        DecryptionOracle.Request memory r = DecryptionOracle.Request(
            id, HOST, address(oracle), address(this), this.take.selector, 0, KEY, uint64(block.timestamp), 5, one(a)
        );
        Results.PublicDecryption memory s = resultFor(r, hex"0000000000000005");
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.prank(DELIVERER);
        oracle.deliver(r, s, signatures);
    }

    function test_gas_withdraw() external {
        equal(DELIVERER.balance, 1 ether, "a sender's account is warm");
        coldBy(DELIVERER, "DecryptionOracle.withdraw", address(oracle), abi.encodeCall(DecryptionOracle.withdraw, ()));
        equal(DELIVERER.balance, 1 ether + 5, "paid");
    }

    function take(uint256, bytes calldata) external {}
}
