// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signatures of distinct parties of one committee
/// @notice Signatures are packed, 65 bytes each: r, s, v. Only low s counts, so each party has one signature per statement.
library Quorum {
    uint256 internal constant MAX_PARTIES = 64;

    error BadSignatureLength(uint256 length);
    error BadSignature(uint256 index);
    error NotASigner(uint256 index, address recovered);
    error DuplicateSigner(uint8 party);
    error NotEnoughSigners(uint256 got, uint256 needed);

    /// @param partyOf party number (1..n) of each signer of the epoch, 0 for everybody else
    /// @return parties_ bit i-1 is set when party i signed
    /// @return count how many
    function parties(mapping(address => uint8) storage partyOf, bytes32 digest, bytes calldata signatures)
        internal
        view
        returns (uint256 parties_, uint256 count)
    {
        if (signatures.length % 65 != 0 || signatures.length > 65 * MAX_PARTIES) {
            revert BadSignatureLength(signatures.length);
        }
        count = signatures.length / 65;
        for (uint256 i; i < count; ++i) {
            uint8 party = signer(partyOf, digest, signatures[65 * i:65 * i + 65], i);
            uint256 bit = 1 << (party - 1);
            if (parties_ & bit != 0) revert DuplicateSigner(party);
            parties_ |= bit;
        }
    }

    /// @notice As parties(), and enough of them.
    function requireQuorum(
        mapping(address => uint8) storage partyOf,
        bytes32 digest,
        bytes calldata signatures,
        uint256 needed
    ) internal view returns (uint256 parties_) {
        uint256 count;
        (parties_, count) = parties(partyOf, digest, signatures);
        if (count < needed) revert NotEnoughSigners(count, needed);
    }

    function signer(
        mapping(address => uint8) storage partyOf,
        bytes32 digest,
        bytes calldata signature,
        uint256 index
    ) internal view returns (uint8 party) {
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecover(
            digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64])
        );
        if (fault != ECDSA.RecoverError.NoError) revert BadSignature(index);
        party = partyOf[recovered];
        if (party == 0) revert NotASigner(index, recovered);
    }

    function size(uint256 parties_) internal pure returns (uint256 count) {
        for (; parties_ != 0; parties_ &= parties_ - 1) ++count;
    }
}
