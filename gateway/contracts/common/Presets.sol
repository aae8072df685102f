// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Parameter sets, the same integers as shared/fhe/preset-table.ts
/// @notice Frozen: test/vectors/gateway/noise.json is made from the TypeScript and checked against this table.
library Presets {
    uint8 internal constant TEST_4096 = 1;
    uint8 internal constant BFV_8192 = 2;
    uint8 internal constant BFV_16384 = 3;

    /// @notice What the static noise bound depends on; names as in the TypeScript.
    struct Preset {
        uint256 degree;
        uint256 plainModulus;
        uint256 levels;
        uint256 decryptionLevel;
        uint256 vMax;
        uint256 inputBound;
        uint256 productGain;
        uint256 productOffset;
        uint256 relinPerDigit;
        uint256 galoisPerDigit;
        uint256 keySwitchOffset;
        uint256 switchOffset;
        uint256[7] dataPrimes;
    }

    error UnknownPreset(uint8 preset);

    function isKnown(uint8 preset) internal pure returns (bool) {
        return preset >= TEST_4096 && preset <= BFV_16384;
    }

    /// @notice Bytes of the residues of a ciphertext of two components at a level, without headers.
    function ciphertextBytes(uint8 preset, uint8 level) internal pure returns (uint256) {
        uint256 degree = preset == TEST_4096 ? 4096 : preset == BFV_8192 ? 8192 : 16384;
        return 2 * 8 * degree * level;
    }

    function get(uint8 preset) internal pure returns (Preset memory p) {
        if (preset == TEST_4096) return test4096();
        if (preset == BFV_8192) return bfv8192();
        if (preset == BFV_16384) return bfv16384();
        revert UnknownPreset(preset);
    }

    function test4096() private pure returns (Preset memory p) {
        (p.degree, p.plainModulus, p.levels, p.decryptionLevel, p.vMax) = (4096, 1032193, 3, 2, 1 << 13);
        (p.inputBound, p.productGain, p.productOffset) = (2036506, 106585406300, 138057433);
        (p.relinPerDigit, p.galoisPerDigit) = (8766377984, 323704);
        (p.keySwitchOffset, p.switchOffset) = (40782, 5044);
        p.dataPrimes[0] = 18014398509211649;
        p.dataPrimes[1] = 18014398509293569;
        p.dataPrimes[2] = 4503599627149313;
    }

    function bfv8192() private pure returns (Preset memory p) {
        (p.degree, p.plainModulus, p.levels, p.decryptionLevel, p.vMax) = (8192, 1032193, 3, 2, 1 << 13);
        (p.inputBound, p.productGain, p.productOffset) = (3920608, 213170785304, 276114846);
        (p.relinPerDigit, p.galoisPerDigit) = (24795054080, 623188);
        (p.keySwitchOffset, p.switchOffset) = (78511, 7132);
        p.dataPrimes[0] = 18014398507892737;
        p.dataPrimes[1] = 18014398508138497;
        p.dataPrimes[2] = 4503599627124737;
    }

    function bfv16384() private pure returns (Preset memory p) {
        (p.degree, p.plainModulus, p.levels, p.decryptionLevel, p.vMax) = (16384, 8589475841, 7, 3, 1 << 23);
        (p.inputBound, p.productGain, p.productOffset) = (7628590, 3547834799862972, 1104459345);
        (p.relinPerDigit, p.galoisPerDigit) = (70131007487, 1212586);
        (p.keySwitchOffset, p.switchOffset) = (152763, 10086);
        p.dataPrimes[0] = 18014398504206337;
        p.dataPrimes[1] = 18014398505943041;
        p.dataPrimes[2] = 18014398506729473;
        p.dataPrimes[3] = 18014398506827777;
        p.dataPrimes[4] = 18014398507220993;
        p.dataPrimes[5] = 18014398507614209;
        p.dataPrimes[6] = 18014398508138497;
    }
}
