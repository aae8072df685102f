// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a handle is: the name of a ciphertext, derived, never chosen
/// @notice Layout, big endian: bytes 0..23 of keccak256(derivation), 6 bytes chain id, 1 byte kind (1 scalar, 2 vector), 1 byte version (1).
/// The derivation binds operation, operands, argument, key, level, noise bound, chain, contract and a counter, so neither a copied nor
/// a rerandomised ciphertext ever has the handle that somebody else may decrypt.
library Handles {
    uint8 internal constant VERSION = 1;
    uint8 internal constant SCALAR = 1;
    uint8 internal constant VECTOR = 2;
    bytes32 internal constant DOMAIN = keccak256("kms/v1/handle");

    error ChainIdTooLarge(uint256 chainId);
    error BadHandle(bytes32 handle);

    struct Derivation {
        uint8 operation;
        bytes32[] inputs;
        bytes32 argument;
        bytes32 keyId;
        uint8 kind;
        uint8 level;
        uint256 bound;
        uint256 chainId;
        address compute;
        uint256 nonce;
    }

    /// @notice The provenance of a ciphertext: its whole derivation in one digest.
    function provenance(Derivation memory d) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(DOMAIN, d.operation, keccak256(abi.encodePacked(d.inputs)), d.argument, d.keyId),
                abi.encode(d.kind, d.level, d.bound, d.chainId, d.compute, d.nonce)
            )
        );
    }

    function derive(bytes32 provenance_, uint256 chainId, uint8 kind) internal pure returns (bytes32) {
        if (chainId == 0 || chainId >= 1 << 48) revert ChainIdTooLarge(chainId);
        uint256 head = uint256(provenance_) & ~uint256(type(uint64).max);
        return bytes32(head | (chainId << 16) | (uint256(kind) << 8) | VERSION);
    }

    function chainIdOf(bytes32 handle) internal pure returns (uint256) {
        return (uint256(handle) >> 16) & type(uint48).max;
    }

    function kindOf(bytes32 handle) internal pure returns (uint8) {
        return uint8(uint256(handle) >> 8);
    }

    /// @dev Form only; that a handle exists is known to its chain alone.
    function requireForm(bytes32 handle) internal pure {
        uint8 kind = kindOf(handle);
        if (uint8(uint256(handle)) != VERSION || (kind != SCALAR && kind != VECTOR) || chainIdOf(handle) == 0) {
            revert BadHandle(handle);
        }
    }
}
