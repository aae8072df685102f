// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../contracts/common/Batch.sol";
import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {KeyStates} from "../contracts/common/KeyStates.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Presets} from "../contracts/common/Presets.sol";
import {Results} from "../contracts/common/Results.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Commands} from "../contracts/gateway/Commands.sol";
import {Committees} from "../contracts/gateway/Committees.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Fees} from "../contracts/gateway/Fees.sol";
import {KeyBook} from "../contracts/gateway/KeyBook.sol";
import {Keys} from "../contracts/gateway/Keys.sol";
import {Limits} from "../contracts/gateway/Limits.sol";
import {OperatorQuorum} from "../contracts/gateway/OperatorQuorum.sol";
import {Permits} from "../contracts/gateway/Permits.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {Statements} from "../contracts/gateway/Statements.sol";
import {RequestFixture} from "./RequestFixture.sol";

/// @title What the gateway refuses, beyond the tests of each contract
contract GatewayRefusalsTest is RequestFixture {
    using Ceremonies for *;
    using Membership for *;
    using Results for *;
    using Requests for Requests.Request;

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
    }

    /// @dev The call that completes the quorum is refused.
    function refused(address target, bytes memory call, bytes4 selector) private {
        for (uint256 i; i < 3; ++i) {
            vm.prank(operators()[i]);
            (bool isDone, bytes memory reason) = target.call(call);
            isTrue(isDone == i < 2, "the last call is refused");
            if (i == 2) equal(bytes4(reason), selector, "reason");
        }
    }

    function refusedCommand(uint8 kind, bytes memory payload, bytes4 selector) private {
        refused(address(keys), abi.encodeCall(Keys.request, (kind, payload, 1 days, uint256(uint32(selector)))), selector);
    }

    function test_operatorSets() external {
        address[] memory three = new address[](3);
        for (uint160 i; i < 3; ++i) three[i] = address(i + 1);
        refused(address(registry), abi.encodeCall(Registry.setOperators, (three)), OperatorQuorum.BadOperators.selector);
        address[] memory twice = operators();
        twice[3] = twice[2];
        refused(address(registry), abi.encodeCall(Registry.setOperators, (twice)), OperatorQuorum.BadOperators.selector);
        vm.prank(operators()[0]);
        vm.expectRevert(abi.encodeWithSelector(OperatorQuorum.NotAnOperator.selector, operators()[0]));
        registry.withdrawApproval(keccak256("never approved"));
    }

    function test_registry() external {
        refused(address(registry), abi.encodeCall(Registry.publishConfiguration, (0, 0)), Registry.WrongConfiguration.selector);
        refused(address(registry), abi.encodeCall(Registry.setHostChain, (hostChain(0))), Registry.UnknownChain.selector);
        address[] memory twice = coprocessors();
        twice[2] = twice[0];
        refused(address(registry), abi.encodeCall(Registry.setCoprocessors, (twice)), Registry.BadCoprocessors.selector);
        Membership.Anchor memory a = Membership.Anchor(keccak256("nobody"), 1, 0, 0);
        bytes memory signature_ = signed(domain, a.hash(), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(Registry.UnknownIdentity.selector, a.identity));
        registry.anchor(1, a, signature_);
    }

    function test_proposals() external {
        Committees.Node[] memory nodes = new Committees.Node[](4);
        for (uint8 i; i < 4; ++i) nodes[i] = node(2, i + 1);
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (2, 1, nodes)), Committees.WrongEpoch.selector);
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (1, 2, nodes)), Committees.BadCommittee.selector);
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (1, 0, nodes)), Committees.BadCommittee.selector);
        nodes[1].signer = nodes[0].signer;
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (1, 1, nodes)), Committees.BadCommittee.selector);
        nodes[1] = node(2, 2);
        nodes[1].epochKey = 0;
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (1, 1, nodes)), Committees.BadCommittee.selector);
        nodes[1] = node(2, 2);
        nodes[1].sender = address(0);
        refused(address(registry), abi.encodeCall(Committees.proposeEpoch, (1, 1, nodes)), Committees.BadCommittee.selector);
    }

    function test_enrolments() external {
        Membership.NodeEnrolment memory e = enrolment(0, 1);
        bytes memory signatures = signed(domain, e.hash(), 0, ALL);
        vm.expectRevert(abi.encodeWithSelector(Committees.WrongEpoch.selector, 0));
        registry.enrol(e, signatures);
        e = enrolment(1, 1);
        signatures = signed(domain, e.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Committees.WrongEpoch.selector, 1));
        registry.enrol(e, signatures);
        proposeEpoch(1, 4, 1);
        e.party = 5;
        signatures = signed(domain, e.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Committees.UnknownParty.selector, 5));
        registry.enrol(e, signatures);
        e = enrolment(1, 1);
        e.signer = address(1);
        signatures = signed(domain, e.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Committees.NotTheMember.selector, 1));
        registry.enrol(e, signatures);
    }

    function test_commands() external {
        bytes memory key = abi.encode(BFV_8192, uint8(0));
        refused(address(keys), abi.encodeCall(Keys.request, (1, key, 59, 0)), Keys.BadLifetime.selector);
        refused(address(keys), abi.encodeCall(Keys.request, (1, key, 31 days, 0)), Keys.BadLifetime.selector);
        refusedCommand(8, "", Keys.UnknownKind.selector);
        refusedCommand(1, abi.encode(uint8(4), uint8(0)), Presets.UnknownPreset.selector);
        refusedCommand(3, abi.encode(keccak256("none"), KEY), KeyBook.UnknownKey.selector);
        refusedCommand(4, abi.encode(Commands.EpochChangePayload(1, one(KEY))), Keys.NoEpoch.selector);
        refusedCommand(5, abi.encode(keccak256("none"), uint8(2)), KeyBook.UnknownKey.selector);
        refusedCommand(6, abi.encode(keccak256("none"), KEY), KeyBook.UnknownKey.selector);
        Commands.RecoveryPayload memory p = Commands.RecoveryPayload(1, keccak256("not it"), KEY, KEY, one(KEY));
        refusedCommand(7, abi.encode(p), Statements.WrongStatement.selector);
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        Commands.EpochChangePayload memory change = Commands.EpochChangePayload(1, one(KEY));
        command(4, abi.encode(change));
        refused(
            address(keys), abi.encodeCall(Keys.request, (4, abi.encode(change), 1 days, 77)), Keys.EpochChangePending.selector
        );
    }

    function test_noCommandBeforeEpoch0() external {
        deployGateway();
        refusedCommand(1, abi.encode(BFV_8192, uint8(0)), Keys.NoEpoch.selector);
    }

    function test_aKeyBeingDestroyedGoesNowhereElse() external {
        moveKey(KEY, KeyStates.DEACTIVATED);
        command(Commands.LIFECYCLE, abi.encode(KEY, KeyStates.DESTROYED));
        refusedCommand(5, abi.encode(KEY, KeyStates.COMPROMISED), KeyBook.BeingDestroyed.selector);
    }

    function test_keyIdsAreNew() external {
        vm.expectRevert(abi.encodeWithSelector(KeyBook.KeyExists.selector, KEY));
        this.generateAgain();
    }

    function generateAgain() external {
        generateKey(KEY);
    }

    function test_expiryIsOfOpenCommands() external {
        Commands.Command memory c = command(Commands.CRS_GENERATION, abi.encode(uint32(8)));
        vm.warp(c.expiresAt + 1);
        keys.expire(c);
        vm.expectRevert(abi.encodeWithSelector(Keys.NotOpen.selector, c.id, 3));
        keys.expire(c);
    }

    function test_handles() external {
        Ciphertexts.Ciphertext[] memory list = new Ciphertexts.Ciphertext[](1);
        list[0] = ciphertext(1);
        list[0].handle = bytes32(uint256(list[0].handle) + 1);
        vm.prank(coprocessors()[0]);
        vm.expectRevert(abi.encodeWithSelector(Handles.BadHandle.selector, list[0].handle));
        ciphertexts.commit(list, new Ciphertexts.Access[](0));
        vm.expectRevert(abi.encodeWithSelector(Handles.ChainIdTooLarge.selector, 1 << 48));
        this.derive(1 << 48);
    }

    function derive(uint256 chainId) external pure returns (bytes32) {
        return Handles.derive(0, chainId, 1);
    }

    function test_handlesOfTwoKeysAreTwoRequests() external {
        bytes32 a = committed(1, address(0));
        bytes32 next = keccak256("next");
        generateKey(next);
        moveKey(KEY, KeyStates.SUSPENDED);
        moveKey(next, KeyStates.ACTIVE);
        Ciphertexts.Ciphertext memory c = ciphertext(2);
        c.keyId = next;
        for (uint256 i; i < 2; ++i) {
            commit(c, i);
            mirror(c.handle, address(0), 1, true, i);
        }
        bytes32[] memory both = new bytes32[](2);
        (both[0], both[1]) = (a, c.handle);
        vm.expectRevert(Decryptions.MixedKeys.selector);
        decryptions.requestPublic{value: 2 * FEE}(HOST, CONSUMER, 0, both, 600);
    }

    function test_lifetimesAreBounded() external {
        bytes32 handle = committed(1, address(0));
        vm.expectRevert(abi.encodeWithSelector(Limits.BadLifetime.selector, 8 days));
        decryptions.requestPublic{value: FEE}(HOST, CONSUMER, 0, one(handle), 8 days);
    }

    function test_kindsAreNotMixedUp() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), 0);
        bytes memory shares = signShares(r, 3);
        bytes32[] memory digests = shareDigests(3);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, r.id));
        decryptions.answerUser(r, 0, THREE, digests, shares);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, r.id));
        decryptions.addUserShare(r, 0, 4, keccak256("d"), shares);
        Requests.Request memory other = abi.decode(abi.encode(r), (Requests.Request));
        other.payer = address(0xBAD);
        vm.warp(r.expiresAt + 1);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, r.id));
        decryptions.expire(other);
    }

    function test_batches() external {
        vm.expectRevert(Batch.EmptyBatch.selector);
        decryptions.answerBatch(0, new Requests.Answer[](0), "");
        Requests.Answer[] memory batch = new Requests.Answer[](1);
        batch[0].request = requestPublic(committed(1, address(0)), 0);
        batch[0].request.id = 99;
        bytes memory signatures = signBatch(batch, THREE);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.NotTheRequest.selector, 99));
        decryptions.answerBatch(0, batch, signatures);
    }

    function test_resultsAreBounded() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), 0);
        bytes memory large = new bytes((256 << 10) + 1);
        bytes memory signatures = signResult(r, large, THREE);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.ResultTooLarge.selector, large.length));
        decryptions.answerPublic(r, large, 0, signatures);
    }

    function test_sharesOfAnEpochThatIsOver() external {
        bytes32 handle = userHandle(1);
        Results.UserDecryptionRequest memory p = permitOf(vm.addr(USER_SECRET), address(0));
        bytes memory permitSignature = signPermit(p);
        Requests.Request memory answered = requestUser(handle, p, permitSignature, 1);
        bytes32[] memory digests = shareDigests(3);
        decryptions.answerUser(answered, 0, THREE, digests, signShares(answered, 3));
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        vm.prank(address(keys));
        registry.activateEpoch(1);
        vm.warp(block.timestamp + 3601);
        Requests.Request memory open = requestUser(handle, p, permitSignature, 1);
        bytes memory shares = signShares(open, 3);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.EpochOver.selector, 0));
        decryptions.answerUser(open, 0, THREE, digests, shares);
        Results.UserDecryptionShare memory s = answered.share(0);
        (s.party, s.shareDigest) = (4, keccak256("late"));
        bytes memory late = signed(domain, s.hash(), 0, 8);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.EpochOver.selector, 0));
        decryptions.addUserShare(answered, 0, 4, keccak256("late"), late);
        vm.warp(open.expiresAt + 1);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.RequestOver.selector, open.id));
        decryptions.answerUser(open, 0, THREE, digests, shares);
    }

    function test_laterSharesAreTheirPartys() external {
        bytes32 handle = userHandle(1);
        Results.UserDecryptionRequest memory p = permitOf(vm.addr(USER_SECRET), address(0));
        Requests.Request memory r = requestUser(handle, p, signPermit(p), 1);
        decryptions.answerUser(r, 0, THREE, shareDigests(3), signShares(r, 3));
        Results.UserDecryptionShare memory s = r.share(0);
        (s.party, s.shareDigest) = (4, keccak256("late"));
        bytes memory byThree = signed(domain, s.hash(), 0, 4);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, r.id));
        decryptions.addUserShare(r, 0, 4, keccak256("late"), byThree);
    }

    function test_epochsAreActivatedInOrderAndComplete() external {
        vm.prank(address(keys));
        vm.expectRevert(abi.encodeWithSelector(Committees.WrongEpoch.selector, 2));
        registry.activateEpoch(2);
        proposeEpoch(1, 4, 1);
        vm.prank(address(keys));
        vm.expectRevert(abi.encodeWithSelector(Committees.NotEnrolled.selector, 1));
        registry.activateEpoch(1);
    }

    function test_sharesOfNobody() external {
        bytes32 handle = userHandle(1);
        Results.UserDecryptionRequest memory p = permitOf(vm.addr(USER_SECRET), address(0));
        Requests.Answer[] memory batch = new Requests.Answer[](1);
        batch[0].request = requestUser(handle, p, signPermit(p), 1);
        (batch[0].parties, batch[0].shareDigests) = (19, shareDigests(3));
        bytes memory signatures = signBatch(batch, THREE);
        vm.expectRevert(abi.encodeWithSelector(Decryptions.BadShares.selector, batch[0].request.id));
        decryptions.answerBatch(0, batch, signatures);
    }

    function test_transfersAreTheOnesAskedFor() external {
        bytes32 handle = committed(1, address(0xBEEF));
        decide(address(registry), abi.encodeCall(Registry.setHostChain, (hostChain(HOST + 1))));
        Requests.Request memory r = requestTransfer(handle);
        bytes memory good =
            abi.encode(Results.HandleTransfer(r.id, handle, HOST, HOST + 1, CONSUMER, KEY, 1, 3, 3920608, 0));
        // Request, handle, both chains, account, key.
        for (uint256 word; word < 6; ++word) {
            bytes memory bad = bytes.concat(good);
            assembly ("memory-safe") {
                let place := add(add(bad, 32), mul(word, 32))
                mstore(place, xor(mload(place), 1))
            }
            Results.HandleTransfer memory s = abi.decode(bad, (Results.HandleTransfer));
            bytes memory signatures = signed(domain, s.hash(), 0, THREE);
            vm.expectRevert(abi.encodeWithSelector(Decryptions.WrongTransfer.selector, r.id));
            decryptions.answerTransfer(r, s, signatures);
        }
    }

    function test_newPartiesSpeakForThemselves() external {
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        Commands.EpochChangePayload memory p = Commands.EpochChangePayload(1, one(KEY));
        Commands.Command memory c = command(Commands.EPOCH_CHANGE, abi.encode(p));
        Membership.EpochChange memory s = Membership.EpochChange(c.id, 0, 1, 2, Commands.keysHash(p.keys), 15, true);
        bytes memory byPartyOne = signed(domain, s.hash(), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(Statements.WrongStatement.selector, c.id));
        keys.respond(c, abi.encode(s), byPartyOne);
    }

    function test_referenceStringsAreNew() external {
        for (uint256 i; i < 2; ++i) {
            Commands.Command memory c = command(Commands.CRS_GENERATION, abi.encode(uint32(8)));
            Ceremonies.CrsGeneration memory s =
                Ceremonies.CrsGeneration(c.id, keccak256("crs"), 8, 0, 7, keccak256("tau"));
            bytes memory signatures = signed(domain, s.hash(), 0, THREE);
            if (i == 1) vm.expectRevert(abi.encodeWithSelector(KeyBook.KeyExists.selector, keccak256("crs")));
            keys.respond(c, abi.encode(s), signatures);
        }
    }

    function test_transitionsStartAtTheKeysState() external {
        Commands.Command memory c = command(Commands.LIFECYCLE, abi.encode(KEY, KeyStates.DEACTIVATED));
        Ceremonies.LifecycleTransition memory s =
            Ceremonies.LifecycleTransition(c.id, KEY, KeyStates.SUSPENDED, KeyStates.DEACTIVATED, 0);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Statements.WrongStatement.selector, c.id));
        keys.respond(c, abi.encode(s), signatures);
    }

    function test_commandsEndWithTheirEpoch() external {
        Commands.Command memory c = command(Commands.CRS_GENERATION, abi.encode(uint32(8)));
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        vm.prank(address(keys));
        registry.activateEpoch(1);
        Ceremonies.CrsGeneration memory s =
            Ceremonies.CrsGeneration(c.id, keccak256("crs"), 8, 0, 7, keccak256("tau"));
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(Keys.NoEpoch.selector);
        keys.respond(c, abi.encode(s), signatures);
    }

    /// @dev A signature that recovers to nothing is not the signature of account 0.
    function test_nobodyIsNoUser() external {
        bytes32 handle = committed(1, address(0));
        Results.UserDecryptionRequest memory p = permitOf(address(0), address(0));
        vm.expectRevert(abi.encodeWithSelector(Permits.BadPermitSignature.selector, address(0)));
        decryptions.requestUser{value: FEE}(p, new bytes(65), one(handle), 600);
    }

    function test_permitsAreBounded() external {
        bytes32 handle = userHandle(1);
        Results.UserDecryptionRequest memory p = permitOf(vm.addr(USER_SECRET), address(0));
        p.validUntil = p.validFrom + 366 days;
        bytes memory permitSignature = signPermit(p);
        vm.expectRevert(Permits.PermitExpired.selector);
        decryptions.requestUser{value: FEE}(p, permitSignature, one(handle), 600);
    }

    function test_aPayeeThatTakesNoMoneyLosesNone() external {
        Requests.Request memory r = requestPublic(committed(1, address(0)), 0);
        vm.warp(r.expiresAt + 1);
        decryptions.expire(r);
        refuses = true;
        vm.expectRevert(abi.encodeWithSelector(Fees.TransferFailed.selector, address(this)));
        decryptions.withdraw();
        refuses = false;
        equal(decryptions.owed(address(this)), FEE, "still owed");
        decryptions.withdraw();
    }
}
