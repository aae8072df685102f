// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Presets} from "./Presets.sol";

/// @title The static noise bound: one integer rule per operation (protocols.md section 5)
/// @notice The same rule as shared/fhe/noise.ts, number by number; its derivation stands there. Every ceiling is below 2^239, so
/// sums of operands below their ceilings never overflow, and the one multiplication compares by division first.
library NoiseBound {
    using Presets for uint8;

    error TooNoisy(uint256 bound, uint256 ceiling);
    error WrongLevel(uint8 a, uint8 b);
    error NotDecryptable(uint8 level, uint256 decryptionLevel);
    error BadPlaintext(uint256 l1);

    function inputBound(uint8 preset) internal pure returns (uint256 bound, uint8 level) {
        Presets.Preset memory p = preset.get();
        return (p.inputBound, uint8(p.levels));
    }

    /// @notice Also the rule of subtraction.
    function add(uint8 preset, uint256 a, uint8 levelA, uint256 b, uint8 levelB) internal pure returns (uint256) {
        Presets.Preset memory p = preset.get();
        sameLevel(levelA, levelB);
        (uint256 x, uint256 y) = (operand(p, a, levelA), operand(p, b, levelB));
        return limited(p, x + y + 1, levelA);
    }

    /// @notice Also the rule of adding a plaintext.
    function negate(uint8 preset, uint256 a, uint8 level) internal pure returns (uint256) {
        Presets.Preset memory p = preset.get();
        return limited(p, operand(p, a, level) + 1, level);
    }

    /// @param l1 sum of the absolute values of the plaintext's coefficients; of a scalar, the scalar, 1 .. p-1
    function mulPlain(uint8 preset, uint256 a, uint8 level, uint256 l1) internal pure returns (uint256) {
        Presets.Preset memory p = preset.get();
        if (l1 < 1 || l1 > (p.degree * p.plainModulus) / 2) revert BadPlaintext(l1);
        return limited(p, multiplied(p, l1, operand(p, a, level) + 1, level) + 1, level);
    }

    /// @notice A product and its relinearisation.
    function mul(uint8 preset, uint256 a, uint8 levelA, uint256 b, uint8 levelB) internal pure returns (uint256) {
        Presets.Preset memory p = preset.get();
        sameLevel(levelA, levelB);
        uint256 sum = operand(p, a, levelA) + operand(p, b, levelB) + 2;
        uint256 product = multiplied(p, p.productGain, sum, levelA) + p.productOffset;
        return limited(p, product + levelA * p.relinPerDigit + p.keySwitchOffset, levelA);
    }

    /// @notice Any one Galois automorphism with its key switch.
    function rotate(uint8 preset, uint256 a, uint8 level) internal pure returns (uint256) {
        Presets.Preset memory p = preset.get();
        uint256 keySwitch = level * p.galoisPerDigit + p.keySwitchOffset;
        return limited(p, operand(p, a, level) + 1 + keySwitch, level);
    }

    /// @notice One level down.
    function modSwitch(uint8 preset, uint256 a, uint8 level) internal pure returns (uint256 bound, uint8 below) {
        Presets.Preset memory p = preset.get();
        decryptable(p, level);
        if (level == p.decryptionLevel) revert NotDecryptable(level - 1, p.decryptionLevel);
        return (switched(p, operand(p, a, level), level), level - 1);
    }

    /// @notice What everybody asks before a decryption. Never called with a bound that a contract has not derived.
    function checkDecryptable(uint8 preset, uint256 a, uint8 level) internal pure {
        Presets.Preset memory p = preset.get();
        limited(p, a, level);
    }

    /// @notice The largest bound at a level that may still be decrypted.
    function ceiling(uint8 preset, uint8 level) internal pure returns (uint256) {
        return ceilingOf(preset.get(), level);
    }

    function ceilingOf(Presets.Preset memory p, uint8 level) private pure returns (uint256 most) {
        decryptable(p, level);
        most = p.vMax;
        for (uint256 left = p.decryptionLevel; left < level; ++left) {
            most = (most - p.switchOffset) * p.dataPrimes[left];
        }
    }

    function switched(Presets.Preset memory p, uint256 a, uint8 level) private pure returns (uint256) {
        uint256 dropped = p.dataPrimes[level - 1];
        return (a + dropped - 1) / dropped + p.switchOffset;
    }

    function multiplied(Presets.Preset memory p, uint256 factor, uint256 bound, uint8 level)
        private
        pure
        returns (uint256)
    {
        uint256 most = ceilingOf(p, level);
        if (bound > most / factor) revert TooNoisy(type(uint256).max, most);
        return bound * factor;
    }

    /// @dev Bounds of handles are always below their ceiling. A caller that brings another one gets the error of a noisy result,
    /// never an overflow.
    function operand(Presets.Preset memory p, uint256 a, uint8 level) private pure returns (uint256) {
        return limited(p, a, level);
    }

    function limited(Presets.Preset memory p, uint256 bound, uint8 level) private pure returns (uint256) {
        uint256 most = ceilingOf(p, level);
        if (bound > most) revert TooNoisy(bound, most);
        return bound;
    }

    function sameLevel(uint8 a, uint8 b) private pure {
        if (a != b) revert WrongLevel(a, b);
    }

    function decryptable(Presets.Preset memory p, uint8 level) private pure {
        if (level < p.decryptionLevel || level > p.levels) revert NotDecryptable(level, p.decryptionLevel);
    }
}
