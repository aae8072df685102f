// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {KeyStates} from "../contracts/common/KeyStates.sol";
import {Presets} from "../contracts/common/Presets.sol";
import {Results} from "../contracts/common/Results.sol";
import {AccessControl} from "../contracts/host/AccessControl.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {Keyring} from "../contracts/host/Keyring.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {Submitters} from "../contracts/host/Submitters.sol";
import {ConfidentialTally} from "../contracts/sample/ConfidentialTally.sol";
import {HostFixture} from "./HostFixture.sol";

/// @title What the host contracts refuse, beyond the tests of each
contract HostRefusalsTest is HostFixture {
    using Results for *;
    using Ceremonies for *;

    function setUp() public {
        deployHost();
    }

    function test_keysOnceAndOfKnownPresets() external {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(1, KEY, 2, 0, keccak256("record"));
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Keyring.KeyExists.selector, KEY));
        keyring.add(s, signatures);
        (s.keyId, s.preset) = (keccak256("k2"), 9);
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Presets.UnknownPreset.selector, 9));
        keyring.add(s, signatures);
    }

    function test_transitionsFollowTheTableAndTheState() external {
        refusedMove(keccak256("none"), 1, 2, 9, Keyring.WrongState.selector);
        refusedMove(KEY, 1, 2, 9, Keyring.WrongState.selector);
        refusedMove(KEY, 2, 6, 9, KeyStates.NoSuchTransition.selector);
    }

    function refusedMove(bytes32 keyId, uint8 fromState, uint8 toState, uint256 id, bytes4 selector) private {
        Ceremonies.LifecycleTransition memory s = Ceremonies.LifecycleTransition(id, keyId, fromState, toState, 0);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectPartialRevert(selector);
        keyring.move(s, signatures);
    }

    function test_noSubmitterButTheOwners() external {
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Submitters.NotTheOwner.selector, address(0xBAD)));
        submitters.set(address(0xBAD), true);
    }

    function test_onlyComputeAdmits() external {
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAuthorized.selector, address(this)));
        accessControl.admit(keccak256("h"), address(this));
        bytes32 a = input(1);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAllowed.selector, a, address(0)));
        accessControl.allow(a, address(0));
        vm.prank(address(compute));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.HandleExists.selector, a));
        accessControl.register(a, address(0xBAD));
        vm.startPrank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotTheOwner.selector, a, address(0xBAD)));
        accessControl.revoke(a, address(this));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotTheOwner.selector, a, address(0xBAD)));
        accessControl.allowOn(a, 31339, address(0xBAD), true);
        vm.stopPrank();
        vm.prank(address(oracle));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAllowed.selector, a, address(0xBAD)));
        accessControl.publishFor(a, address(0xBAD));
        accessControl.allowOn(a, 31339, address(7), true);
        equal(accessControl.remoteAccess(a, 31339, address(7)), 3, "version 1, allowed");
    }

    function transfer() private view returns (Results.HandleTransfer memory) {
        bytes32 handle = Handles.derive(keccak256("far away"), 31339, Handles.SCALAR);
        return Results.HandleTransfer(5, handle, 31339, HOST, address(this), KEY, Handles.SCALAR, 3, 3920608, 0);
    }

    function refusedTransfer(Results.HandleTransfer memory s) private {
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Compute.WrongTransfer.selector, s.handle));
        compute.admit(s, signatures);
    }

    function test_transfersOfForeignHandlesOnly() external {
        Results.HandleTransfer memory s = transfer();
        s.originChainId = 31340;
        refusedTransfer(s);
        s = transfer();
        s.kind = Handles.VECTOR;
        refusedTransfer(s);
        s = transfer();
        s.account = address(0);
        refusedTransfer(s);
        s = transfer();
        s.keyId = keccak256("no key");
        refusedTransfer(s);
        // Not even the committee names a handle of this chain.
        s = transfer();
        (s.handle, s.originChainId) = (Handles.derive(keccak256("here"), HOST, Handles.SCALAR), HOST);
        refusedTransfer(s);
    }

    function test_inputsOfAKnownKind() external {
        vm.expectRevert(abi.encodeWithSelector(Compute.UnknownKind.selector, 3));
        compute.input(keccak256("e"), KEY, 3, address(this), "");
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAllowed.selector, KEY, address(this)));
        accessControl.publish(KEY);
        vm.expectRevert(abi.encodeWithSelector(Compute.UnknownHandle.selector, KEY));
        compute.operandOf(KEY);
    }

    function test_oracleRequests() external {
        bytes32 a = input(1);
        vm.expectRevert(DecryptionOracle.BadRequest.selector);
        oracle.request(new bytes32[](0), bytes4(0), 0);
        bytes32[] memory many = new bytes32[](65);
        for (uint256 i; i < 65; ++i) many[i] = a;
        vm.expectRevert(DecryptionOracle.BadRequest.selector);
        oracle.request(many, bytes4(0), 0);
        vm.expectRevert(DecryptionOracle.BadRequest.selector);
        oracle.request(one(a), bytes4(0), 5_000_001);
        moveKey(KEY, 2, 3, 3);
        addKey(keccak256("k2"), 2);
        moveKey(keccak256("k2"), 1, 2, 4);
        bytes32 digest = keccak256("e2");
        bytes32 toSign = submitters.inputDigest(address(this), address(this), digest, keccak256("k2"), 1);
        bytes32 b = compute.input(digest, keccak256("k2"), 1, address(this), signature(SUBMITTER_SECRET, toSign));
        bytes32[] memory both = new bytes32[](2);
        (both[0], both[1]) = (a, b);
        vm.expectRevert(DecryptionOracle.BadRequest.selector);
        oracle.request(both, bytes4(0), 0);
    }

    function test_resultsForAnotherConsumer() external {
        bytes32 a = input(1);
        uint256 id = oracle.request(one(a), bytes4(0), 0);
        DecryptionOracle.Request memory r = oracleRequest(id, address(this), bytes4(0), 0, a);
        Results.PublicDecryption memory s = resultFor(r, "result");
        s.consumer = address(0xBAD);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, id));
        oracle.deliver(r, s, signatures);
        s = resultFor(r, "result");
        s.hostRequest = keccak256("another request");
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.WrongResult.selector, id));
        oracle.deliver(r, s, signatures);
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.NotDelivered.selector, id));
        oracle.resultOf(id);
        s = resultFor(r, "result");
        s.destinationChainId = HOST + 1;
        Results.ResultBatch memory batch = Results.ResultBatch(keccak256("root"), 1, 0);
        bytes memory ofBatch = signed(domain, batch.hash(), 0, THREE);
        vm.expectPartialRevert(KmsVerifier.WrongDestination.selector);
        oracle.deliverFromBatch(r, s, batch, new bytes32[](0), ofBatch);
    }

    function test_aPayeeThatTakesNoMoneyLosesNone() external {
        bytes32 a = input(1);
        vm.deal(address(this), 1 ether);
        uint256 id = oracle.request{value: 5}(one(a), bytes4(0), 0);
        DecryptionOracle.Request memory r = DecryptionOracle.Request(
            id, HOST, address(oracle), address(this), bytes4(0), 0, KEY, uint64(block.timestamp), 5, one(a)
        );
        deliver(r, "result");
        // This contract takes no money.
        vm.expectRevert(abi.encodeWithSelector(DecryptionOracle.TransferFailed.selector, address(this)));
        oracle.withdraw();
        equal(oracle.owed(address(this)), 5, "still owed");
    }

    function test_tallyResultsAreOneNumber() external {
        ConfidentialTally tally = new ConfidentialTally(compute, oracle, KEY, uint64(block.timestamp) + 1);
        vm.prank(address(oracle));
        vm.expectRevert(ConfidentialTally.BadResult.selector);
        tally.onSum(0, hex"05");
        vm.prank(address(oracle));
        vm.expectRevert(abi.encodeWithSelector(ConfidentialTally.NotTheOracle.selector, address(oracle)));
        tally.onSum(1, hex"0000000000000005");
    }
}
