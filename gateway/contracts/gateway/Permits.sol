// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Results} from "../common/Results.sol";
import {TypedDomain} from "../common/TypedDomain.sol";

/// @title Permits: a user's own word that its plaintexts be sealed to a key
/// @notice One signature allows requests for one application until it expires, or until the user moves its nonce on. A permit may name a
/// delegate, who then is the only one to use it. Contract wallets are asked here, with a gas cap, since no enclave can prove what a call
/// would answer; the outcome goes into the request's slot.
abstract contract Permits {
    using Results for Results.UserDecryptionRequest;

    uint8 internal constant BY_KEY = 1;
    uint8 internal constant BY_CONTRACT = 2;
    uint256 internal constant ERC1271_GAS = 100_000;
    uint64 public constant MAX_PERMIT_SECONDS = 365 days;

    /// @notice Permits with another nonce are void; enclaves prove this slot too.
    mapping(address => uint256) public permitNonces;

    event PermitsRevoked(address indexed user, uint256 nonce);

    error PermitExpired();
    error PermitNotYetValid();
    error PermitRevoked(address user);
    error NotTheDelegate(address caller);
    error BadPermitSignature(address user);

    /// @notice Revokes every permit the caller has signed, requests under way included.
    function revokePermits() external {
        uint256 nonce = ++permitNonces[msg.sender];
        emit PermitsRevoked(msg.sender, nonce);
    }

    /// @return permit digest that the user signed
    /// @return by who vouched for the signature: BY_KEY or BY_CONTRACT
    function _check(bytes32 domain, Results.UserDecryptionRequest calldata p, bytes calldata signature)
        internal
        view
        returns (bytes32 permit, uint8 by)
    {
        if (block.timestamp < p.validFrom) revert PermitNotYetValid();
        if (block.timestamp > p.validUntil || p.validUntil - p.validFrom > MAX_PERMIT_SECONDS) revert PermitExpired();
        if (p.nonce != permitNonces[p.user]) revert PermitRevoked(p.user);
        if (p.delegate != address(0) && p.delegate != msg.sender) revert NotTheDelegate(msg.sender);
        permit = TypedDomain.digest(domain, p.hash());
        bool isGood;
        if (p.user.code.length == 0) {
            (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecover(permit, signature);
            isGood = fault == ECDSA.RecoverError.NoError && recovered == p.user;
            by = BY_KEY;
        } else {
            isGood = _asksContract(p.user, permit, signature);
            by = BY_CONTRACT;
        }
        if (!isGood) revert BadPermitSignature(p.user);
    }

    function _asksContract(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bool isAnswered;
        bytes32 answer;
        // Static, capped in gas, and one word of the answer is read whatever the wallet returns.
        assembly ("memory-safe") {
            mstore(0, 0)
            isAnswered := staticcall(ERC1271_GAS, wallet, add(question, 32), mload(question), 0, 32)
            isAnswered := and(isAnswered, gt(returndatasize(), 31))
            answer := mload(0)
        }
        return isAnswered && answer == bytes32(IERC1271.isValidSignature.selector);
    }
}
