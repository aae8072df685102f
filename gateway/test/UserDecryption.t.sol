// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../contracts/common/Quorum.sol";
import {Results} from "../contracts/common/Results.sol";
import {TypedDomain} from "../contracts/common/TypedDomain.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Permits} from "../contracts/gateway/Permits.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {RequestFixture} from "./RequestFixture.sol";

/// @dev A wallet whose answer is set.
contract Wallet {
    uint8 internal mode;

    function set(uint8 to) external {
        mode = to;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        if (mode == 0) return this.isValidSignature.selector;
        if (mode == 1) return 0xffffffff;
        if (mode == 2) revert();
        if (mode == 3) while (true) {}
        // A megabyte of zeros.
        assembly {
            return(0, 1048576)
        }
    }
}

contract UserDecryptionTest is RequestFixture {
    using Requests for Requests.Request;
    using Results for *;

    bytes32 internal handle;
    address internal user;

    function setUp() public {
        deployActiveGateway();
        setTerms(100);
        vm.deal(address(this), 1 ether);
        user = vm.addr(USER_SECRET);
        handle = userHandle(1);
    }

    function ask() private returns (Requests.Request memory) {
        Results.UserDecryptionRequest memory p = permitOf(user, address(0));
        return requestUser(handle, p, signPermit(p), 1);
    }

    function test_sharesAreRecordedAndVerifiable() external {
        Requests.Request memory r = ask();
        decryptions.answerUser(r, 0, THREE, shareDigests(3), signShares(r, 3));
        isTrue(decryptions.verifyUserShare(r.id, THREE, shareDigests(3), 2, abi.encode("share", 2)), "share 2");
        isTrue(!decryptions.verifyUserShare(r.id, THREE, shareDigests(3), 1, abi.encode("share", 2)), "not party 1's");
        isTrue(!decryptions.verifyUserShare(r.id, THREE, shareDigests(3), 2, "other"), "other bytes");
        isTrue(!decryptions.verifyUserShare(r.id, THREE, shareDigests(3), 4, abi.encode("share", 4)), "no share 4");
        equal(decryptions.pots(0, THREE), FEE, "fee");
    }

    function test_aFourthShareIsAddedLater() external {
        Requests.Request memory r = ask();
        bytes32 digest = sha256(abi.encode("share", 4));
        Results.UserDecryptionShare memory s = r.share(0);
        (s.party, s.shareDigest) = (4, digest);
        bytes memory fourth = signed(domain, s.hash(), 0, 8);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotOpen.selector, r.id));
        decryptions.addUserShare(r, 0, 4, digest, fourth);
        decryptions.answerUser(r, 0, THREE, shareDigests(3), signShares(r, 3));
        vm.expectRevert(abi.encodeWithSelector(Quorum.NotASigner.selector, 0, vm.addr(9)));
        decryptions.addUserShare(r, 0, 4, digest, signature(9, TypedDomain.digest(domain, s.hash())));
        decryptions.addUserShare(r, 0, 4, digest, fourth);
        isTrue(decryptions.verifyUserShare(r.id, 0, new bytes32[](0), 4, abi.encode("share", 4)), "share 4");
    }

    function test_sharesNeedTheirPartiesSignatures() external {
        Requests.Request memory r = ask();
        bytes memory signatures = signShares(r, 3);
        bytes32[] memory digests = shareDigests(3);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerUser(r, 0, 14, digests, signatures);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, r.id));
        decryptions.answerUser(r, 0, ALL, digests, signatures);
        bytes memory two = signShares(r, 2);
        bytes32[] memory twoDigests = shareDigests(2);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, r.id));
        decryptions.answerUser(r, 0, 3, twoDigests, two);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, r.id));
        decryptions.answerUser(r, 0, THREE, digests, two);
        digests[1] = keccak256("swapped");
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        decryptions.answerUser(r, 0, THREE, digests, signatures);
    }

    /// @dev Party 1's signature over a share that claims to be party 2's.
    function test_aPartySpeaksForItselfAlone() external {
        Requests.Request memory r = ask();
        Results.UserDecryptionShare memory s = r.share(0);
        bytes32[] memory digests = shareDigests(3);
        (s.party, s.shareDigest) = (2, digests[1]);
        bytes memory first = signShares(r, 1);
        bytes memory forged = signed(domain, s.hash(), 0, 1);
        (s.party, s.shareDigest) = (3, digests[2]);
        bytes memory third = signed(domain, s.hash(), 0, 4);
        bytes memory all = bytes.concat(first, forged, third);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, r.id));
        decryptions.answerUser(r, 0, THREE, digests, all);
    }

    function test_sharesInABatch() external {
        Requests.Answer[] memory batch = new Requests.Answer[](1);
        batch[0].request = ask();
        (batch[0].parties, batch[0].shareDigests) = (ALL, shareDigests(4));
        decryptions.answerBatch(0, batch, signBatch(batch, THREE));
        uint256 id = batch[0].request.id;
        isTrue(decryptions.verifyUserShare(id, ALL, shareDigests(4), 4, abi.encode("share", 4)), "share 4");
    }

    function test_notForAnotherUsersHandle() external {
        bytes32 other = committed(2, address(0xBEEF));
        for (uint256 i; i < 2; ++i) mirror(other, APPLICATION, 1, true, i);
        Results.UserDecryptionRequest memory p = permitOf(user, address(0));
        expectRefusal(p, signPermit(p), other, abi.encodeWithSelector(Decryptions.NotAllowed.selector, other, user));
        bytes32 foreign = committed(3, user);
        bytes memory refusal = abi.encodeWithSelector(Decryptions.NotAllowed.selector, foreign, APPLICATION);
        expectRefusal(p, signPermit(p), foreign, refusal);
    }

    function test_permitsAreTheUsersOwn() external {
        Results.UserDecryptionRequest memory p = permitOf(user, address(0));
        bytes memory good = signPermit(p);
        bytes memory refusal = abi.encodeWithSelector(Permits.BadPermitSignature.selector, user);
        bytes memory thief = signature(666, TypedDomain.digest(domain, p.hash()));
        expectRefusal(p, thief, handle, refusal);
        expectRefusal(p, highS(good), handle, refusal);
        p.publicKeyHash = keccak256("the thief's key");
        expectRefusal(p, good, handle, refusal);
    }

    function test_permitsOfAnotherNetworkOrChainAreNoGood() external {
        Results.UserDecryptionRequest memory p = permitOf(user, address(0));
        bytes memory refusal = abi.encodeWithSelector(Permits.BadPermitSignature.selector, user);
        bytes32 elsewhere = TypedDomain.separator(block.chainid + 1, address(registry));
        expectRefusal(p, signature(USER_SECRET, TypedDomain.digest(elsewhere, p.hash())), handle, refusal);
        elsewhere = TypedDomain.separator(block.chainid, address(0xDEAD));
        expectRefusal(p, signature(USER_SECRET, TypedDomain.digest(elsewhere, p.hash())), handle, refusal);
    }

    function test_permitsExpireAndAreRevoked() external {
        Results.UserDecryptionRequest memory p = permitOf(user, address(0));
        bytes memory good = signPermit(p);
        vm.warp(p.validUntil + 1);
        expectRefusal(p, good, handle, abi.encodePacked(Permits.PermitExpired.selector));
        vm.warp(p.validFrom - 1);
        expectRefusal(p, good, handle, abi.encodePacked(Permits.PermitNotYetValid.selector));
        vm.warp(p.validFrom);
        vm.prank(user);
        decryptions.revokePermits();
        expectRefusal(p, good, handle, abi.encodeWithSelector(Permits.PermitRevoked.selector, user));
        p.nonce = 1;
        requestUser(handle, p, signPermit(p), 1);
    }

    function test_aDelegateAloneUsesItsPermit() external {
        Results.UserDecryptionRequest memory p = permitOf(user, address(0xDE1E));
        bytes memory good = signPermit(p);
        expectRefusal(p, good, handle, abi.encodeWithSelector(Permits.NotTheDelegate.selector, address(this)));
        vm.deal(address(0xDE1E), 1 ether);
        vm.prank(address(0xDE1E));
        decryptions.requestUser{value: FEE}(p, good, one(handle), 600);
    }

    function test_contractWalletsAreAskedByTheContract() external {
        Wallet wallet = new Wallet();
        for (uint256 i; i < 2; ++i) mirror(handle, address(wallet), 1, true, i);
        Results.UserDecryptionRequest memory p = permitOf(address(wallet), address(0));
        requestUser(handle, p, "whatever", 2);
        for (uint8 mode = 1; mode <= 4; ++mode) {
            wallet.set(mode);
            bytes memory refusal = abi.encodeWithSelector(Permits.BadPermitSignature.selector, address(wallet));
            uint256 before = gasleft();
            expectRefusal(p, "whatever", handle, refusal);
            isTrue(before - gasleft() < 600_000, "whatever it does is capped");
        }
    }

    function expectRefusal(
        Results.UserDecryptionRequest memory p,
        bytes memory permitSignature,
        bytes32 of_,
        bytes memory refusal
    ) private {
        vm.expectRevert(refusal);
        decryptions.requestUser{value: FEE}(p, permitSignature, one(of_), 600);
    }
}
