// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {NoiseBound} from "../contracts/common/NoiseBound.sol";
import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {AccessControl} from "../contracts/host/AccessControl.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {Keyring} from "../contracts/host/Keyring.sol";
import {HostFixture} from "./HostFixture.sol";

contract ComputeTest is HostFixture {
    using Results for *;
    using Ceremonies for *;

    function setUp() public {
        deployHost();
    }

    function test_handlesAreDerivedAndGranted() external {
        bytes32 a = input(1);
        bytes32 b = input(2);
        bytes32 c = compute.add(a, b);
        Handles.Derivation memory d = Handles.Derivation(
            compute.ADD(), two(a, b), 0, KEY, Handles.SCALAR, 3, 2 * 3920608 + 1, HOST, address(compute), 3
        );
        equal(compute.provenances(c), Handles.provenance(d), "provenance");
        equal(c, Handles.derive(Handles.provenance(d), HOST, Handles.SCALAR), "handle");
        equal(accessControl.ownerOf(c), address(this), "owner");
        isTrue(accessControl.isAllowed(c, address(this)), "granted");
        isTrue(compute.add(a, b) != c, "the same operation has another name");
        Compute.Operand memory x = compute.operandOf(c);
        equal(x.bound, d.bound, "bound");
        equal(x.level, 3, "level");
        equal(x.keyId, KEY, "key");
    }

    function test_onlyWhoMayUseTheOperands() external {
        bytes32 a = input(1);
        vm.startPrank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Compute.NotAllowed.selector, a, address(0xBAD)));
        compute.add(a, a);
        vm.expectRevert(abi.encodeWithSelector(Compute.NotAllowed.selector, a, address(0xBAD)));
        compute.mulPlain(a, 3);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotTheOwner.selector, a, address(0xBAD)));
        accessControl.allow(a, address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAllowed.selector, a, address(0xBAD)));
        accessControl.publish(a);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAuthorized.selector, address(0xBAD)));
        accessControl.register(keccak256("mine"), address(0xBAD));
        vm.stopPrank();
        accessControl.allow(a, address(0xBAD));
        vm.prank(address(0xBAD));
        compute.add(a, a);
        accessControl.revoke(a, address(0xBAD));
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Compute.NotAllowed.selector, a, address(0xBAD)));
        compute.add(a, a);
        equal(accessControl.access(a, address(0xBAD)), 4, "version 2, not allowed");
    }

    function test_depthIsNoBound() external {
        bytes32 h = input(1);
        uint256 doublings;
        for (; doublings < 240; ++doublings) {
            try compute.add(h, h) returns (bytes32 sum) {
                h = sum;
            } catch (bytes memory reason) {
                equal(bytes4(reason), NoiseBound.TooNoisy.selector, "reason");
                break;
            }
        }
        isTrue(doublings > 20 && doublings < 240, "refused in the end");
    }

    function test_oneProductButNotTwo() external {
        bytes32 product = compute.mul(input(1), input(2));
        bytes32 other = input(3);
        vm.expectPartialRevert(NoiseBound.TooNoisy.selector);
        compute.mul(product, other);
    }

    function test_levelsMeetBySwitchingDown() external {
        bytes32 a = input(1);
        bytes32 low = compute.switchDown(input(2));
        vm.expectRevert(abi.encodeWithSelector(NoiseBound.WrongLevel.selector, 3, 2));
        compute.add(a, low);
        bytes32 second = compute.switchDown(a);
        // After the switch the rounding of one is nearly all that may be decrypted.
        vm.expectRevert(abi.encodeWithSelector(NoiseBound.TooNoisy.selector, 2 * 7133 + 1, 8192));
        compute.add(second, low);
        compute.negate(low);
        vm.expectRevert(abi.encodeWithSelector(NoiseBound.NotDecryptable.selector, 1, 2));
        compute.switchDown(low);
    }

    function test_plainOperandsAreReduced() external {
        bytes32 a = input(1);
        compute.addPlain(a, 0);
        compute.addPlain(a, 1032192);
        compute.mulPlain(a, 1032192);
        vm.expectRevert(abi.encodeWithSelector(Compute.PlaintextTooLarge.selector, 1032193, 1032193));
        compute.addPlain(a, 1032193);
        vm.expectRevert(abi.encodeWithSelector(NoiseBound.BadPlaintext.selector, 0));
        compute.mulPlain(a, 0);
    }

    function test_inputsNeedASubmitterForThisUseAlone() external {
        bytes32 digest = keccak256("envelope");
        bytes memory proof = inputProof(address(this), address(this), digest);
        // A thief who copies the ciphertext, or its proof, gets no handle of it.
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.SCALAR, address(this), proof);
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.SCALAR, address(0xBAD), proof);
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.VECTOR, address(this), proof);
        bytes32 signedDigest = submitters.inputDigest(address(this), address(this), digest, KEY, Handles.SCALAR);
        bytes memory outsider = signature(666, signedDigest);
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.SCALAR, address(this), outsider);
        vm.chainId(HOST + 1);
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.SCALAR, address(this), proof);
        vm.chainId(HOST);
        compute.input(digest, KEY, Handles.SCALAR, address(this), proof);
        submitters.set(vm.addr(SUBMITTER_SECRET), false);
        vm.expectRevert(abi.encodeWithSelector(Compute.BadProof.selector, digest));
        compute.input(digest, KEY, Handles.SCALAR, address(this), proof);
    }

    function test_keysAreTheCommittees() external {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(7, keccak256("k2"), 2, 0, keccak256("r"));
        bytes memory two_ = signed(domain, s.hash(), 0, 3);
        vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        keyring.add(s, two_);
        keyring.add(s, signed(domain, s.hash(), 0, THREE));
        bytes32 digest = keccak256("envelope");
        vm.expectRevert(abi.encodeWithSelector(Compute.KeyDoesNotEncrypt.selector, keccak256("k2")));
        compute.input(digest, keccak256("k2"), Handles.SCALAR, address(this), "");
    }

    function test_oldTransitionsAreNotReplayed() external {
        bytes32 a = input(1);
        Ceremonies.LifecycleTransition memory up = Ceremonies.LifecycleTransition(4, KEY, 3, 2, 0);
        moveKey(KEY, 2, 3, 3);
        bytes memory signatures = signed(domain, up.hash(), 0, THREE);
        keyring.move(up, signatures);
        moveKey(KEY, 2, 3, 5);
        vm.expectRevert(abi.encodeWithSelector(Keyring.WrongState.selector, KEY, 3));
        keyring.move(up, signatures);
        compute.add(a, a);
        moveKey(KEY, 3, 4, 6);
        moveKey(KEY, 4, 6, 7);
        vm.expectRevert(abi.encodeWithSelector(Compute.KeyDestroyed.selector, KEY));
        compute.add(a, a);
    }

    function test_handlesOfOneKeyOnly() external {
        bytes32 a = input(1);
        moveKey(KEY, 2, 3, 3);
        addKey(keccak256("k2"), 2);
        moveKey(keccak256("k2"), 1, 2, 4);
        bytes32 digest = keccak256("e2");
        bytes memory proof = signature(
            SUBMITTER_SECRET,
            submitters.inputDigest(address(this), address(this), digest, keccak256("k2"), Handles.SCALAR)
        );
        bytes32 b = compute.input(digest, keccak256("k2"), Handles.SCALAR, address(this), proof);
        vm.expectRevert(abi.encodeWithSelector(Compute.DifferentKeys.selector, KEY, keccak256("k2")));
        compute.add(a, b);
    }

    function test_handlesOfOtherChainsComeAttested() external {
        bytes32 handle = Handles.derive(keccak256("far away"), 31339, Handles.SCALAR);
        Results.HandleTransfer memory s = Results.HandleTransfer(
            5, handle, 31339, HOST, address(this), KEY, Handles.SCALAR, 3, 3920608, 0
        );
        bytes memory two_ = signed(domain, s.hash(), 0, 3);
        vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        compute.admit(s, two_);
        compute.admit(s, signed(domain, s.hash(), 0, THREE));
        compute.add(handle, input(1));
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Compute.NotAllowed.selector, handle, address(0xBAD)));
        compute.add(handle, handle);
        s.destinationChainId = 31340;
        bytes memory elsewhere = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Compute.WrongTransfer.selector, handle));
        compute.admit(s, elsewhere);
        (s.destinationChainId, s.bound) = (HOST, 1);
        bytes memory lower = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Compute.WrongTransfer.selector, handle));
        compute.admit(s, lower);
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotTheOwner.selector, handle, address(this)));
        accessControl.allow(handle, address(0xBAD));
    }

    function test_accessIsOpenedOnce() external {
        vm.expectRevert(AccessControl.AlreadyOpen.selector);
        accessControl.open(address(1), address(2));
        AccessControl another = new AccessControl();
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(AccessControl.NotAuthorized.selector, address(0xBAD)));
        another.open(address(1), address(2));
    }

    function test_publicIsForEver() external {
        bytes32 a = input(1);
        accessControl.publish(a);
        isTrue(accessControl.isAllowed(a, address(0xBEEF)), "everybody");
        vm.expectRevert(abi.encodeWithSelector(AccessControl.PublicForEver.selector, a));
        accessControl.revoke(a, address(0));
    }

    function two(bytes32 a, bytes32 b) private pure returns (bytes32[] memory list) {
        list = new bytes32[](2);
        (list[0], list[1]) = (a, b);
    }
}
