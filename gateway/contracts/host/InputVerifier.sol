// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Says whether an input may enter: its maker knew the plaintext, and made it for this application
interface InputVerifier {
    /// @param application the contract that calls Compute
    /// @param user on whose behalf, as the application says
    /// @param digest SHA-256 of the envelope
    function verifyInput(
        address application,
        address user,
        bytes32 digest,
        bytes32 keyId,
        uint8 kind,
        bytes calldata proof
    ) external view returns (bool);
}
