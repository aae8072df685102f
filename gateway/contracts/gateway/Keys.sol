// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../common/Ceremonies.sol";
import {KeyStates} from "../common/KeyStates.sol";
import {Membership} from "../common/Membership.sol";
import {Presets} from "../common/Presets.sol";
import {Quorum} from "../common/Quorum.sol";
import {Commands} from "./Commands.sol";
import {KeyBook} from "./KeyBook.sol";
import {Registry} from "./Registry.sol";
import {Statements} from "./Statements.sol";

/// @title Every operation on keys: request, responses, activation
/// @notice Operators request by quorum; nodes respond with typed, signed statements that anybody may post; n - t of them activate.
/// One event per step. A command that expires changes nothing.
contract Keys is KeyBook {
    using Commands for Commands.Command;

    uint64 public constant MIN_LIFETIME = 60;
    uint64 public constant MAX_LIFETIME = 30 days;
    bytes4 internal constant PRODUCTION = "kms\x00";

    uint8 internal constant REQUESTED = 1;
    uint8 internal constant ACTIVATED = 2;
    uint8 internal constant EXPIRED = 3;

    Registry public immutable registry;

    /// @notice keccak256 of all fields of a command, for ever.
    mapping(uint256 => bytes32) public commands;
    /// @notice 1 requested, 2 activated, 3 expired.
    mapping(uint256 => uint8) public phases;
    uint256 public commandCount;
    /// @notice The epoch change under way: no key is generated meanwhile.
    uint256 public epochChange;
    /// @dev Command => party => its statement.
    mapping(uint256 => mapping(uint8 => bytes32)) public responses;
    /// @dev Command => statement => parties that made it.
    mapping(uint256 => mapping(bytes32 => uint256)) public agreement;
    /// @dev Command => parties that are done, where each has a statement of its own.
    mapping(uint256 => uint256) public done;
    /// @dev Epoch change => party => parties that hold its packets.
    mapping(uint256 => mapping(uint8 => uint256)) public servedBy;

    event CommandRequested(uint256 indexed id, uint8 indexed kind, Commands.Command command);
    event CommandResponse(uint256 indexed id, uint8 indexed kind, uint8 indexed party, bytes32 statement);
    event CommandActivated(uint256 indexed id, uint8 indexed kind, bytes statement);
    event CommandExpired(uint256 indexed id, uint8 indexed kind);
    /// @notice Evidence: one party signed two statements about one command.
    event ConflictingResponse(uint256 indexed id, uint8 indexed party, bytes32 first, bytes32 second);
    event KeyStateChanged(bytes32 indexed keyId, uint8 fromState, uint8 toState);

    error Paused();
    error BadLifetime(uint64 seconds_);
    error UnknownKind(uint8 kind);
    error NotTheCommand(uint256 id);
    error NotOpen(uint256 id, uint8 phase);
    error CommandOver(uint256 id);
    error CommandNotOver(uint256 id);
    error NoEpoch();
    error EpochChangePending(uint256 id);
    error TestKeyInProduction();

    constructor(Registry of_) {
        registry = of_;
    }

    /// @notice By a quorum of operators, each sending this very call.
    /// @return id 0 until the quorum is complete
    function request(uint8 kind, bytes calldata payload, uint64 lifetime, uint256 salt) external returns (uint256 id) {
        if (registry.paused()) revert Paused();
        if (!registry.approve(msg.sender, keccak256(msg.data))) return 0;
        if (lifetime < MIN_LIFETIME || lifetime > MAX_LIFETIME) revert BadLifetime(lifetime);
        uint64 epoch = registry.currentEpoch();
        if (epoch == type(uint64).max) revert NoEpoch();
        id = ++commandCount;
        salt; // Only tells apart calls that are the same otherwise.
        _check(id, kind, payload);
        Commands.Command memory command = Commands.Command(
            id, kind, epoch, payload, uint64(block.timestamp), uint64(block.timestamp) + lifetime
        );
        commands[id] = command.hash();
        phases[id] = REQUESTED;
        emit CommandRequested(id, kind, command);
    }

    /// @param statement abi.encode of the kind's typed statement
    /// @param signatures of parties that made exactly this statement, 65 bytes each
    function respond(Commands.Command calldata command, bytes calldata statement, bytes calldata signatures) external {
        _requireOpen(command);
        if (command.kind == Commands.EPOCH_CHANGE) return _respondEpoch(command, statement, signatures);
        (bytes32 structHash, uint8 only) = Statements.check(command, statement);
        (uint256 parties,) = registry.signersOf(command.epoch, structHash, signatures);
        if (only != 0) {
            if (parties != 1 << (only - 1)) revert Statements.WrongStatement(command.id);
            if (!_record(command, only, structHash)) return;
            backups[abi.decode(statement, (Ceremonies.Backup)).keyId][only] = structHash;
            done[command.id] |= parties;
            parties = done[command.id];
        } else {
            parties = _recordAll(command, parties, structHash);
        }
        if (Quorum.size(parties) >= registry.certificateQuorum(command.epoch)) _activate(command, statement);
    }

    /// @notice After its time a command ends, and what it locked is free.
    function expire(Commands.Command calldata command) external {
        _requireKnown(command);
        if (phases[command.id] != REQUESTED) revert NotOpen(command.id, phases[command.id]);
        if (block.timestamp <= command.expiresAt) revert CommandNotOver(command.id);
        phases[command.id] = EXPIRED;
        if (command.kind == Commands.EPOCH_CHANGE) epochChange = 0;
        if (command.kind == Commands.LIFECYCLE) {
            bytes32 keyId = abi.decode(command.payload, (Commands.LifecyclePayload)).keyId;
            // Nodes may have erased already: a key once commanded to be destroyed stays unusable until a new command ends it.
            if (keySlots[keyId] >> 80 == command.id) _setDestroying(keyId, type(uint64).max);
        }
        emit CommandExpired(command.id, command.kind);
    }

    /// @dev What can be said about a command when it is requested.
    function _check(uint256 id, uint8 kind, bytes calldata payload) private {
        if (kind <= Commands.SWITCHING_KEY && epochChange != 0) revert EpochChangePending(epochChange);
        if (kind == Commands.KEY_GENERATION) {
            uint8 preset = abi.decode(payload, (Commands.KeyGenerationPayload)).preset;
            if (!Presets.isKnown(preset)) revert Presets.UnknownPreset(preset);
            bool isProduction = bytes4(registry.networkId()) == PRODUCTION;
            if (isProduction && preset == Presets.TEST_4096) revert TestKeyInProduction();
        } else if (kind == Commands.CRS_GENERATION) {
            abi.decode(payload, (Commands.CrsPayload));
        } else if (kind == Commands.SWITCHING_KEY) {
            Commands.SwitchingKeyPayload memory p = abi.decode(payload, (Commands.SwitchingKeyPayload));
            _requireKey(p.fromKey);
            _requireKey(p.toKey);
        } else if (kind == Commands.EPOCH_CHANGE) {
            if (epochChange != 0) revert EpochChangePending(epochChange);
            Commands.EpochChangePayload memory p = abi.decode(payload, (Commands.EpochChangePayload));
            if (!registry.isComplete(p.toEpoch) || p.toEpoch != registry.currentEpoch() + 1) revert NoEpoch();
            for (uint256 i; i < p.keys.length; ++i) _requireKey(p.keys[i]);
            epochChange = id;
        } else if (kind == Commands.LIFECYCLE) {
            Commands.LifecyclePayload memory p = abi.decode(payload, (Commands.LifecyclePayload));
            if (keySlots[p.keyId] >> 80 == type(uint64).max && p.toState == KeyStates.DESTROYED) {
                _setDestroying(p.keyId, 0);
            }
            _requireMove(p.keyId, p.toState);
            if (p.toState == KeyStates.DESTROYED) _setDestroying(p.keyId, id);
        } else if (kind == Commands.BACKUP) {
            _requireKey(abi.decode(payload, (Commands.BackupPayload)).keyId);
        } else if (kind == Commands.RECOVERY) {
            Commands.RecoveryPayload memory p = abi.decode(payload, (Commands.RecoveryPayload));
            if (registry.identityOf(registry.currentEpoch(), p.party) != p.oldIdentity) revert Statements.WrongStatement(id);
        } else {
            revert UnknownKind(kind);
        }
    }

    /// @dev By one party of the new committee. Active when n'-t' decoded everything and each party's packets are held by n'-t'.
    function _respondEpoch(Commands.Command calldata c, bytes calldata statement, bytes calldata signature) private {
        (Membership.EpochChange memory s, bytes32 structHash) = Statements.checkEpochChange(c, statement);
        (uint256 parties,) = registry.signersOf(s.toEpoch, structHash, signature);
        if (parties != 1 << (s.party - 1)) revert Statements.WrongStatement(c.id);
        responses[c.id][s.party] = structHash;
        emit CommandResponse(c.id, c.kind, s.party, structHash);
        if (s.confirmed) done[c.id] |= parties;
        uint256 needed = registry.certificateQuorum(s.toEpoch);
        bool isServed = _serve(c.id, registry.epochs(s.toEpoch).n, s.served, parties, needed);
        if (isServed && Quorum.size(done[c.id]) >= needed) _activate(c, statement);
    }

    /// @return all whether every party's packets are held by enough parties
    function _serve(uint256 id, uint8 n, uint256 served, uint256 by, uint256 needed) private returns (bool all) {
        all = true;
        for (uint8 party = 1; party <= n; ++party) {
            uint256 holders = servedBy[id][party];
            if ((served >> (party - 1)) & 1 == 1) servedBy[id][party] = holders |= by;
            all = all && Quorum.size(holders) >= needed;
        }
    }

    function _recordAll(Commands.Command calldata c, uint256 parties, bytes32 structHash)
        private
        returns (uint256 agreeing)
    {
        agreeing = agreement[c.id][structHash];
        for (uint8 party = 1; party <= Quorum.MAX_PARTIES && parties >> (party - 1) != 0; ++party) {
            if ((parties >> (party - 1)) & 1 == 0) continue;
            if (_record(c, party, structHash)) agreeing |= uint256(1) << (party - 1);
        }
        agreement[c.id][structHash] = agreeing;
    }

    /// @dev The first statement of a party counts; a second one is evidence, and is never counted.
    function _record(Commands.Command calldata c, uint8 party, bytes32 structHash) private returns (bool isFirst) {
        bytes32 first = responses[c.id][party];
        if (first == structHash) return false;
        if (first != 0) {
            emit ConflictingResponse(c.id, party, first, structHash);
            return false;
        }
        responses[c.id][party] = structHash;
        emit CommandResponse(c.id, c.kind, party, structHash);
        return true;
    }

    function _activate(Commands.Command calldata c, bytes calldata statement) private {
        if (phases[c.id] == ACTIVATED) return;
        phases[c.id] = ACTIVATED;
        if (c.kind == Commands.KEY_GENERATION) {
            Ceremonies.KeyGeneration memory s = abi.decode(statement, (Ceremonies.KeyGeneration));
            _addKey(s.keyId, s.preset, s.epoch, s.recordDigest);
            emit KeyStateChanged(s.keyId, KeyStates.NONE, KeyStates.PRE_ACTIVATION);
        } else if (c.kind == Commands.CRS_GENERATION) {
            Ceremonies.CrsGeneration memory s = abi.decode(statement, (Ceremonies.CrsGeneration));
            if (referenceStrings[s.crsId] != 0) revert KeyExists(s.crsId);
            referenceStrings[s.crsId] = s.digest;
        } else if (c.kind == Commands.SWITCHING_KEY) {
            Ceremonies.SwitchingKey memory s = abi.decode(statement, (Ceremonies.SwitchingKey));
            switchingKeys[s.fromKey][s.toKey] = s.digest;
        } else if (c.kind == Commands.LIFECYCLE) {
            Ceremonies.LifecycleTransition memory s = abi.decode(statement, (Ceremonies.LifecycleTransition));
            if (keySlots[s.keyId] >> 80 == c.id) _setDestroying(s.keyId, 0);
            if (_requireMove(s.keyId, s.toState) != s.fromState) revert Statements.WrongStatement(c.id);
            _move(s.keyId, s.toState);
            emit KeyStateChanged(s.keyId, s.fromState, s.toState);
        } else if (c.kind == Commands.EPOCH_CHANGE) {
            epochChange = 0;
            registry.activateEpoch(abi.decode(c.payload, (Commands.EpochChangePayload)).toEpoch);
        }
        emit CommandActivated(c.id, c.kind, statement);
    }

    /// @dev Late statements on an activated command are recorded, so that the chain shows who made none.
    function _requireOpen(Commands.Command calldata command) private view {
        _requireKnown(command);
        if (phases[command.id] == ACTIVATED) return;
        if (phases[command.id] != REQUESTED) revert NotOpen(command.id, phases[command.id]);
        if (block.timestamp > command.expiresAt) revert CommandOver(command.id);
        if (command.kind <= Commands.SWITCHING_KEY && epochChange != 0) revert EpochChangePending(epochChange);
        if (command.epoch != registry.currentEpoch()) revert NoEpoch();
    }

    function _requireKnown(Commands.Command calldata command) private view {
        if (commands[command.id] != command.hash()) revert NotTheCommand(command.id);
    }
}
