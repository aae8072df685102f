// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The one EIP-712 domain of a network: its registry on the gateway chain
/// @notice Every signature of a node or a permit is under this domain, whatever chain verifies it; the statements name the
/// destination themselves.
library TypedDomain {
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Threshold KMS");
    bytes32 private constant VERSION = keccak256("1");

    function separator(uint256 gatewayChainId, address registry) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, NAME, VERSION, gatewayChainId, registry));
    }

    function digest(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
