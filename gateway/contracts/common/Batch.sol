// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Merkle trees over results
/// @notice A leaf is keccak256 of a result's struct hash (hashed twice, so no inner node is a leaf); pairs are sorted before they are
/// hashed, and the last of an odd row moves up. Proofs are those of OpenZeppelin's MerkleProof. Twin: shared/gateway/merkle.ts.
library Batch {
    error EmptyBatch();

    function leaf(bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(structHash));
    }

    /// @param row leaves; overwritten
    function root(bytes32[] memory row) internal pure returns (bytes32) {
        uint256 size = row.length;
        if (size == 0) revert EmptyBatch();
        while (size > 1) {
            uint256 half = size / 2;
            for (uint256 i; i < half; ++i) {
                row[i] = Hashes.commutativeKeccak256(row[2 * i], row[2 * i + 1]);
            }
            if (size % 2 == 1) row[half] = row[size - 1];
            size = half + (size % 2);
        }
        return row[0];
    }
}
