// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The states of a key (NIST SP 800-57) and the ways between them
library KeyStates {
    uint8 internal constant NONE = 0;
    uint8 internal constant PRE_ACTIVATION = 1;
    uint8 internal constant ACTIVE = 2;
    uint8 internal constant SUSPENDED = 3;
    uint8 internal constant DEACTIVATED = 4;
    uint8 internal constant COMPROMISED = 5;
    uint8 internal constant DESTROYED = 6;

    error NoSuchTransition(uint8 fromState, uint8 toState);

    /// @notice New ciphertexts are made under active keys only.
    function encrypts(uint8 state) internal pure returns (bool) {
        return state == ACTIVE;
    }

    function decrypts(uint8 state) internal pure returns (bool) {
        return state >= ACTIVE && state <= COMPROMISED;
    }

    function requireTransition(uint8 fromState, uint8 toState) internal pure {
        if (!allowed(fromState, toState)) revert NoSuchTransition(fromState, toState);
    }

    /// @dev Every way leads forward but resumption; destruction needs a key that no longer encrypts.
    function allowed(uint8 fromState, uint8 toState) private pure returns (bool) {
        if (toState == ACTIVE) return fromState == PRE_ACTIVATION || fromState == SUSPENDED;
        if (toState == SUSPENDED) return fromState == ACTIVE;
        if (toState == DEACTIVATED) return fromState == ACTIVE || fromState == SUSPENDED;
        if (toState == COMPROMISED) return fromState >= PRE_ACTIVATION && fromState <= DEACTIVATED;
        if (toState == DESTROYED) {
            return fromState == PRE_ACTIVATION || fromState == DEACTIVATED || fromState == COMPROMISED;
        }
        return false;
    }
}
