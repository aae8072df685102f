// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Commands} from "../contracts/gateway/Commands.sol";
import {Statements} from "../contracts/gateway/Statements.sol";
import {Checks} from "./Vm.sol";

/// @title Every field of a statement that a command fixes, changed one at a time
contract StatementsTest is Checks {
    bytes32 internal constant KEY = keccak256("key");
    bytes32 internal constant OTHER = keccak256("other");

    function checkStatement(Commands.Command calldata c, bytes calldata statement) external pure {
        if (c.kind == Commands.EPOCH_CHANGE) Statements.checkEpochChange(c, statement);
        else Statements.check(c, statement);
    }

    function command(uint8 kind, bytes memory payload) private pure returns (Commands.Command memory) {
        return Commands.Command(5, kind, 3, payload, 100, 200);
    }

    /// @param fixedWords bit i: the command fixes word i, so no other value will do
    /// @param nonzeroWords bit i: any value but zero will do
    function everyWord(Commands.Command memory c, bytes memory good, uint256 fixedWords, uint256 nonzeroWords)
        private
        view
    {
        this.checkStatement(c, good);
        for (uint256 i; i < good.length / 32; ++i) {
            if ((fixedWords >> i) & 1 == 1) {
                isTrue(!isTaken(c, changed(good, i, 1)), string.concat("one more in word ", vm.toString(i)));
            }
            bool isZeroRefused = ((fixedWords | nonzeroWords) >> i) & 1 == 1;
            if (isZeroRefused) isTrue(!isTaken(c, zeroed(good, i)), string.concat("zero in word ", vm.toString(i)));
            else this.checkStatement(c, changed(good, i, 1));
        }
    }

    function isTaken(Commands.Command memory c, bytes memory statement) private view returns (bool) {
        try this.checkStatement(c, statement) {
            return true;
        } catch (bytes memory reason) {
            equal(bytes4(reason), Statements.WrongStatement.selector, "reason");
            return false;
        }
    }

    function changed(bytes memory good, uint256 word, uint256 by) private pure returns (bytes memory bad) {
        bad = bytes.concat(good);
        assembly ("memory-safe") {
            let place := add(add(bad, 32), mul(word, 32))
            mstore(place, xor(mload(place), by))
        }
    }

    function zeroed(bytes memory good, uint256 word) private pure returns (bytes memory bad) {
        bad = bytes.concat(good);
        assembly ("memory-safe") {
            mstore(add(add(bad, 32), mul(word, 32)), 0)
        }
    }

    function test_keyGeneration() external view {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(5, KEY, 2, 3, OTHER);
        bytes memory payload = abi.encode(Commands.KeyGenerationPayload(2, 0));
        everyWord(command(Commands.KEY_GENERATION, payload), abi.encode(s), 13, 18);
    }

    function test_crs() external view {
        Ceremonies.CrsGeneration memory s = Ceremonies.CrsGeneration(5, KEY, 1024, 3, 7, OTHER);
        bytes memory payload = abi.encode(Commands.CrsPayload(1024));
        everyWord(command(Commands.CRS_GENERATION, payload), abi.encode(s), 13, 34);
    }

    function test_switchingKey() external view {
        Ceremonies.SwitchingKey memory s = Ceremonies.SwitchingKey(5, KEY, OTHER, 3, KEY);
        bytes memory payload = abi.encode(Commands.SwitchingKeyPayload(KEY, OTHER));
        everyWord(command(Commands.SWITCHING_KEY, payload), abi.encode(s), 15, 16);
    }

    function test_lifecycle() external view {
        Ceremonies.LifecycleTransition memory s = Ceremonies.LifecycleTransition(5, KEY, 1, 2, 3);
        bytes memory payload = abi.encode(Commands.LifecyclePayload(KEY, 2));
        everyWord(command(Commands.LIFECYCLE, payload), abi.encode(s), 27, 0);
    }

    function test_backup() external view {
        Ceremonies.Backup memory s = Ceremonies.Backup(5, KEY, 3, 2, OTHER, KEY);
        bytes memory payload = abi.encode(Commands.BackupPayload(KEY, OTHER));
        Commands.Command memory c = command(Commands.BACKUP, payload);
        everyWord(c, abi.encode(s), 23, 40);
        s.party = 65;
        isTrue(!isTaken(c, abi.encode(s)), "party 65");
    }

    function test_recovery() external view {
        bytes32[] memory keys = new bytes32[](1);
        keys[0] = KEY;
        Ceremonies.Recovery memory s =
            Ceremonies.Recovery(5, 3, 4, KEY, OTHER, Commands.keysHash(keys), keccak256("custodians"));
        bytes memory payload =
            abi.encode(Commands.RecoveryPayload(4, KEY, OTHER, keccak256("custodians"), keys));
        everyWord(command(Commands.RECOVERY, payload), abi.encode(s), 127, 0);
    }

    function test_epochChange() external view {
        bytes32[] memory keys = new bytes32[](1);
        keys[0] = KEY;
        Membership.EpochChange memory s = Membership.EpochChange(5, 3, 4, 2, Commands.keysHash(keys), 2, true);
        bytes memory payload = abi.encode(Commands.EpochChangePayload(4, keys));
        Commands.Command memory c = command(Commands.EPOCH_CHANGE, payload);
        everyWord(c, abi.encode(s), 23, 8);
        s.party = 65;
        isTrue(!isTaken(c, abi.encode(s)), "party 65");
    }
}
