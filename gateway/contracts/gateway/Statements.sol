// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../common/Ceremonies.sol";
import {Membership} from "../common/Membership.sol";
import {Quorum} from "../common/Quorum.sol";
import {Commands} from "./Commands.sol";

/// @title What a node may state about a command: every field that the command fixes is the command's
library Statements {
    using Ceremonies for *;
    using Membership for *;

    error WrongStatement(uint256 commandId);

    /// @return structHash of the statement, whose fields must be those of the command
    /// @return only the one party that may make it; 0 for statements on which parties agree
    function check(Commands.Command calldata c, bytes calldata statement)
        internal
        pure
        returns (bytes32 structHash, uint8 only)
    {
        bool isRight;
        if (c.kind == Commands.KEY_GENERATION) {
            Ceremonies.KeyGeneration memory s = abi.decode(statement, (Ceremonies.KeyGeneration));
            Commands.KeyGenerationPayload memory p = abi.decode(c.payload, (Commands.KeyGenerationPayload));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.preset == p.preset;
            isRight = isRight && s.keyId != 0 && s.recordDigest != 0;
            structHash = s.hash();
        } else if (c.kind == Commands.CRS_GENERATION) {
            Ceremonies.CrsGeneration memory s = abi.decode(statement, (Ceremonies.CrsGeneration));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.digest != 0 && s.crsId != 0;
            isRight = isRight && s.size == abi.decode(c.payload, (Commands.CrsPayload)).size;
            structHash = s.hash();
        } else if (c.kind == Commands.SWITCHING_KEY) {
            Ceremonies.SwitchingKey memory s = abi.decode(statement, (Ceremonies.SwitchingKey));
            Commands.SwitchingKeyPayload memory p = abi.decode(c.payload, (Commands.SwitchingKeyPayload));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.fromKey == p.fromKey && s.toKey == p.toKey;
            isRight = isRight && s.digest != 0;
            structHash = s.hash();
        } else if (c.kind == Commands.LIFECYCLE) {
            Ceremonies.LifecycleTransition memory s = abi.decode(statement, (Ceremonies.LifecycleTransition));
            Commands.LifecyclePayload memory p = abi.decode(c.payload, (Commands.LifecyclePayload));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.keyId == p.keyId && s.toState == p.toState;
            structHash = s.hash();
        } else if (c.kind == Commands.BACKUP) {
            Ceremonies.Backup memory s = abi.decode(statement, (Ceremonies.Backup));
            Commands.BackupPayload memory p = abi.decode(c.payload, (Commands.BackupPayload));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.keyId == p.keyId && s.custodians == p.custodians;
            isRight = isRight && s.party != 0 && s.party <= Quorum.MAX_PARTIES && s.digest != 0;
            (structHash, only) = (s.hash(), s.party);
        } else {
            Ceremonies.Recovery memory s = abi.decode(statement, (Ceremonies.Recovery));
            Commands.RecoveryPayload memory p = abi.decode(c.payload, (Commands.RecoveryPayload));
            isRight = s.commandId == c.id && s.epoch == c.epoch && s.party == p.party && s.custodians == p.custodians;
            isRight = isRight && s.oldIdentity == p.oldIdentity && s.newIdentity == p.newIdentity;
            isRight = isRight && s.keysHash == Commands.keysHash(p.keys);
            structHash = s.hash();
        }
        if (!isRight) revert WrongStatement(c.id);
    }

    /// @notice The same for an epoch change, which each party of the new committee states for itself.
    function checkEpochChange(Commands.Command calldata c, bytes calldata statement)
        internal
        pure
        returns (Membership.EpochChange memory s, bytes32 structHash)
    {
        s = abi.decode(statement, (Membership.EpochChange));
        Commands.EpochChangePayload memory p = abi.decode(c.payload, (Commands.EpochChangePayload));
        bool isRight = s.commandId == c.id && s.fromEpoch == c.epoch && s.toEpoch == p.toEpoch;
        isRight = isRight && s.keysHash == Commands.keysHash(p.keys) && s.party != 0 && s.party <= Quorum.MAX_PARTIES;
        if (!isRight) revert WrongStatement(c.id);
        structHash = s.hash();
    }
}
