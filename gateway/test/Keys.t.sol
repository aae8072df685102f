// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {KeyStates} from "../contracts/common/KeyStates.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Quorum} from "../contracts/common/Quorum.sol";
import {Commands} from "../contracts/gateway/Commands.sol";
import {KeyBook} from "../contracts/gateway/KeyBook.sol";
import {Keys} from "../contracts/gateway/Keys.sol";
import {OperatorQuorum} from "../contracts/gateway/OperatorQuorum.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {Statements} from "../contracts/gateway/Statements.sol";
import {GatewayFixture} from "./GatewayFixture.sol";
import {Vm} from "./Vm.sol";

contract KeysTest is GatewayFixture {
    using Ceremonies for *;
    using Membership for *;

    function setUp() public {
        deployGateway();
        beginEpoch0();
    }

    function test_aKeyExistsWhenEnoughPartiesAgree() external {
        Commands.Command memory c = keyCommand();
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, 1));
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, 2));
        equal(keys.keyState(KEY), KeyStates.NONE, "two of four");
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, 4));
        equal(keys.keyState(KEY), KeyStates.PRE_ACTIVATION, "three of four");
        equal(keys.keyRecords(KEY), s.recordDigest, "record");
        equal(keys.phases(c.id), 2, "activated");
        // Late, and posted again: recorded once, activated once.
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, ALL));
        equal(Quorum.size(keys.agreement(c.id, s.hash())), 4, "all four");
    }

    function test_aPartyCountsOnceAndItsSecondStatementIsEvidence() external {
        Commands.Command memory c = keyCommand();
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        Ceremonies.KeyGeneration memory other = keyStatement(c, keccak256("other"));
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, 1));
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, 1));
        bytes memory second = signed(domain, other.hash(), 0, 1);
        vm.expectEmit();
        emit Keys.ConflictingResponse(c.id, 1, s.hash(), other.hash());
        keys.respond(c, abi.encode(other), second);
        equal(keys.agreement(c.id, other.hash()), 0, "not counted");
        keys.respond(c, abi.encode(other), signed(domain, other.hash(), 0, 6));
        equal(keys.keyState(keccak256("other")), KeyStates.NONE, "one liar short");
    }

    function test_statementsAreOfTheCommand() external {
        Commands.Command memory c = keyCommand();
        Commands.Command memory second = keyCommand();
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Statements.WrongStatement.selector, second.id));
        keys.respond(second, abi.encode(s), signatures);
        s.preset = 3;
        signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Statements.WrongStatement.selector, c.id));
        keys.respond(c, abi.encode(s), signatures);
        c.payload = abi.encode(uint8(3), uint8(0));
        vm.expectRevert(abi.encodeWithSelector(Keys.NotTheCommand.selector, c.id));
        keys.respond(c, abi.encode(s), signatures);
    }

    function test_signaturesAreOfPartiesDistinctAndLow() external {
        Commands.Command memory c = keyCommand();
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        bytes memory outsider = signature(12345, keccak256("x"));
        bytes memory twice = bytes.concat(signed(domain, s.hash(), 0, 1), signed(domain, s.hash(), 0, 1));
        bytes memory high = highS(signed(domain, s.hash(), 0, 1));
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        keys.respond(c, abi.encode(s), outsider);
        vm.expectRevert(abi.encodeWithSelector(Quorum.DuplicateSigner.selector, 1));
        keys.respond(c, abi.encode(s), twice);
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignature.selector, 0));
        keys.respond(c, abi.encode(s), high);
        vm.expectRevert(abi.encodeWithSelector(Quorum.BadSignatureLength.selector, 64));
        keys.respond(c, abi.encode(s), new bytes(64));
    }

    function test_afterItsTimeACommandChangesNothing() external {
        Commands.Command memory c = keyCommand();
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Keys.CommandNotOver.selector, c.id));
        keys.expire(c);
        vm.warp(c.expiresAt + 1);
        vm.expectRevert(abi.encodeWithSelector(Keys.CommandOver.selector, c.id));
        keys.respond(c, abi.encode(s), signatures);
        keys.expire(c);
        vm.expectRevert(abi.encodeWithSelector(Keys.NotOpen.selector, c.id, 3));
        keys.respond(c, abi.encode(s), signatures);
    }

    function test_operatorsAloneCommandAndNotWhilePaused() external {
        vm.expectRevert(abi.encodeWithSelector(OperatorQuorum.NotAnOperator.selector, address(this)));
        keys.request(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)), 1 days, 1);
        Commands.Command memory c = keyCommand();
        decide(address(registry), abi.encodeCall(Registry.pause, ()));
        vm.prank(operators()[0]);
        vm.expectRevert(Keys.Paused.selector);
        keys.request(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)), 1 days, 1);
        Ceremonies.KeyGeneration memory s = keyStatement(c, KEY);
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 0, THREE));
        equal(keys.keyState(KEY), KeyStates.PRE_ACTIVATION, "answers are never paused");
    }

    function test_aProductionNetworkMakesNoTestKey() external {
        expectRefusal(Commands.KEY_GENERATION, abi.encode(uint8(1), uint8(0)), Keys.TestKeyInProduction.selector);
    }

    function test_lifecycleFollowsTheTable() external {
        generateKey(KEY);
        uint8[4] memory path =
            [KeyStates.ACTIVE, KeyStates.SUSPENDED, KeyStates.DEACTIVATED, KeyStates.COMPROMISED];
        for (uint256 i; i < 4; ++i) {
            moveKey(KEY, path[i]);
            equal(keys.keyState(KEY), path[i], "state");
            isTrue(keys.decrypts(KEY), "decrypts");
        }
        bytes memory back = abi.encode(KEY, KeyStates.ACTIVE);
        expectRefusal(Commands.LIFECYCLE, back, KeyStates.NoSuchTransition.selector);
        moveKey(KEY, KeyStates.DESTROYED);
        isTrue(!keys.decrypts(KEY), "destroyed");
    }

    function testFuzz_noWayLeadsOutOfDestruction(uint8 fromState, uint8 toState) external view {
        toState = toState % 8;
        fromState = fromState % 8;
        try this.transition(fromState, toState) {
            isTrue(fromState != KeyStates.DESTROYED && toState > KeyStates.PRE_ACTIVATION, "leaves destruction");
            isTrue(toState != KeyStates.DESTROYED || fromState != KeyStates.ACTIVE, "an active key is destroyed");
        } catch {}
    }

    function transition(uint8 fromState, uint8 toState) external pure {
        KeyStates.requireTransition(fromState, toState);
    }

    function test_oneKeyEncrypts() external {
        makeActiveKey(KEY);
        generateKey(keccak256("next"));
        bytes memory second = abi.encode(keccak256("next"), KeyStates.ACTIVE);
        expectRefusal(Commands.LIFECYCLE, second, KeyBook.ActiveKeyExists.selector);
        moveKey(KEY, KeyStates.SUSPENDED);
        moveKey(keccak256("next"), KeyStates.ACTIVE);
        equal(keys.activeKeys(BFV_8192), keccak256("next"), "active");
    }

    function test_destructionStopsDecryptionWhenCommanded() external {
        makeActiveKey(KEY);
        moveKey(KEY, KeyStates.DEACTIVATED);
        Commands.Command memory c = command(Commands.LIFECYCLE, abi.encode(KEY, KeyStates.DESTROYED));
        isTrue(!keys.decrypts(KEY), "from the command on");
        vm.warp(c.expiresAt + 1);
        keys.expire(c);
        isTrue(!keys.decrypts(KEY), "nodes may have erased");
        moveKey(KEY, KeyStates.DESTROYED);
        equal(keys.keyState(KEY), KeyStates.DESTROYED, "a second command ends it");
    }

    function test_crsSwitchingKeyBackupRecovery() external {
        makeActiveKey(KEY);
        Commands.Command memory c = command(Commands.CRS_GENERATION, abi.encode(uint32(1024)));
        Ceremonies.CrsGeneration memory crs =
            Ceremonies.CrsGeneration(c.id, keccak256("crs"), 1024, 0, 7, keccak256("tau"));
        keys.respond(c, abi.encode(crs), signed(domain, crs.hash(), 0, THREE));
        equal(keys.referenceStrings(keccak256("crs")), keccak256("tau"), "crs");

        generateKey(keccak256("next"));
        c = command(Commands.SWITCHING_KEY, abi.encode(KEY, keccak256("next")));
        Ceremonies.SwitchingKey memory sw =
            Ceremonies.SwitchingKey(c.id, KEY, keccak256("next"), 0, keccak256("switch"));
        keys.respond(c, abi.encode(sw), signed(domain, sw.hash(), 0, THREE));
        equal(keys.switchingKeys(KEY, keccak256("next")), keccak256("switch"), "switching key");

        c = command(Commands.BACKUP, abi.encode(KEY, keccak256("custodians")));
        for (uint8 party = 1; party <= 3; ++party) {
            equal(keys.phases(c.id), 1, "not yet");
            Ceremonies.Backup memory b =
                Ceremonies.Backup(c.id, KEY, 0, party, keccak256("custodians"), keccak256(abi.encode(party)));
            bytes memory byAnother = signed(domain, b.hash(), 0, 8);
            vm.expectRevert(abi.encodeWithSelector(Statements.WrongStatement.selector, c.id));
            keys.respond(c, abi.encode(b), byAnother);
            keys.respond(c, abi.encode(b), signed(domain, b.hash(), 0, 1 << (party - 1)));
            equal(keys.backups(KEY, party), b.hash(), "backup");
        }
        equal(keys.phases(c.id), 2, "n - t backups");

        Commands.RecoveryPayload memory p =
            Commands.RecoveryPayload(4, node(0, 4).identity, keccak256("new"), keccak256("custodians"), one(KEY));
        c = command(Commands.RECOVERY, abi.encode(p));
        Ceremonies.Recovery memory r = Ceremonies.Recovery(
            c.id, 0, 4, p.oldIdentity, p.newIdentity, Commands.keysHash(p.keys), p.custodians
        );
        keys.respond(c, abi.encode(r), signed(domain, r.hash(), 0, THREE));
        equal(keys.phases(c.id), 2, "recovered");
    }

    function test_epochChangesWhenConfirmedAndAllServed() external {
        makeActiveKey(KEY);
        (Commands.Command memory c, Membership.EpochChange memory s) = epochChange();
        // Three of four confirm, but nobody holds party 4's packets.
        for (uint8 party = 1; party <= 3; ++party) {
            respondEpoch(c, s, party, THREE, true);
            equal(registry.currentEpoch(), 0, "party 4 is not served");
        }
        respondEpoch(c, s, 1, ALL, true);
        respondEpoch(c, s, 2, ALL, true);
        equal(registry.currentEpoch(), 0, "two hold them");
        respondEpoch(c, s, 3, ALL, true);
        equal(registry.currentEpoch(), 1, "active");
        isTrue(registry.answers(0), "grace");
        vm.warp(block.timestamp + registry.GRACE_SECONDS() + 1);
        isTrue(!registry.answers(0), "grace is over");
    }

    function test_epochWaitsForConfirmations() external {
        makeActiveKey(KEY);
        (Commands.Command memory c, Membership.EpochChange memory s) = epochChange();
        for (uint8 party = 1; party <= 4; ++party) respondEpoch(c, s, party, ALL, party <= 2);
        equal(registry.currentEpoch(), 0, "two confirmed");
        s.party = 4;
        (s.served, s.confirmed) = (0, true);
        bytes memory byTheOldOne = signed(domain, s.hash(), 0, 8);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        keys.respond(c, abi.encode(s), byTheOldOne);
        respondEpoch(c, s, 4, 0, true);
        equal(registry.currentEpoch(), 1, "three confirmed");
    }

    function test_noKeyIsGeneratedDuringAnEpochChange() external {
        makeActiveKey(KEY);
        Commands.Command memory c = keyCommand();
        (Commands.Command memory change,) = epochChange();
        Ceremonies.KeyGeneration memory s = keyStatement(c, keccak256("late"));
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Keys.EpochChangePending.selector, change.id));
        keys.respond(c, abi.encode(s), signatures);
        bytes memory payload = abi.encode(BFV_8192, uint8(0));
        expectRefusal(Commands.KEY_GENERATION, payload, Keys.EpochChangePending.selector);
        vm.warp(change.expiresAt + 1);
        keys.expire(change);
        keyCommand();
    }

    /// @dev The table of gateway/README.md: every operation has its three events, whatever its kind.
    function test_everyOperationHasItsEvents() external {
        vm.recordLogs();
        makeActiveKey(KEY);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256[3] memory counts;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == Keys.CommandRequested.selector) ++counts[0];
            if (logs[i].topics[0] == Keys.CommandResponse.selector) ++counts[1];
            if (logs[i].topics[0] == Keys.CommandActivated.selector) ++counts[2];
        }
        equal(counts[0], 2, "requests");
        equal(counts[1], 6, "responses");
        equal(counts[2], 2, "activations");
    }

    function keyCommand() private returns (Commands.Command memory) {
        return command(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)));
    }

    function keyStatement(Commands.Command memory c, bytes32 keyId)
        private
        pure
        returns (Ceremonies.KeyGeneration memory)
    {
        return Ceremonies.KeyGeneration(c.id, keyId, BFV_8192, c.epoch, keccak256("record"));
    }

    function epochChange() private returns (Commands.Command memory c, Membership.EpochChange memory s) {
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        Commands.EpochChangePayload memory p = Commands.EpochChangePayload(1, one(KEY));
        c = command(Commands.EPOCH_CHANGE, abi.encode(p));
        s = Membership.EpochChange(c.id, 0, 1, 0, Commands.keysHash(p.keys), 0, false);
    }

    function respondEpoch(
        Commands.Command memory c,
        Membership.EpochChange memory s,
        uint8 party,
        uint256 served,
        bool confirmed
    ) private {
        (s.party, s.served, s.confirmed) = (party, served, confirmed);
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), 1, 1 << (party - 1)));
    }

    function expectRefusal(uint8 kind, bytes memory payload, bytes4 selector) private {
        bytes memory call = abi.encodeCall(Keys.request, (kind, payload, 1 days, uint256(keccak256(payload))));
        for (uint256 i; i < 3; ++i) {
            vm.prank(operators()[i]);
            (bool isDone, bytes memory reason) = address(keys).call(call);
            equal(isDone ? 1 : 0, i < 2 ? 1 : 0, "the last one is refused");
            if (i == 2) equal(bytes4(reason), selector, "reason");
        }
    }
}
