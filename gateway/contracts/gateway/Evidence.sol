// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../common/Quorum.sol";
import {Results} from "../common/Results.sol";
import {Registry} from "./Registry.sol";

/// @title Proof that a party signed two results of one request
/// @notice Decryption is a function of the ciphertext's bytes, so an honest enclave never does. Posted by anybody; changes nothing but what
/// is known: operators replace the party in the next epoch.
contract Evidence {
    using Results for *;

    Registry public immutable registry;
    /// @notice Epoch => parties caught, bit i-1 for party i.
    mapping(uint64 => uint256) public caught;

    event ConflictingResults(
        uint64 indexed epoch, uint8 indexed party, uint256 indexed requestId, bytes32 first, bytes32 second
    );

    error NoConflict();
    error NotOneParty();

    constructor(Registry registry_) {
        registry = registry_;
    }

    /// @notice Two signed public results of one request under one key and epoch that differ.
    function report(
        Results.PublicDecryption calldata a,
        bytes calldata signatureA,
        Results.PublicDecryption calldata b,
        bytes calldata signatureB
    ) external returns (uint8 party) {
        bool isOneRequest = a.requestId == b.requestId && a.epoch == b.epoch && a.keyId == b.keyId;
        isOneRequest = isOneRequest && keccak256(abi.encode(a.handles)) == keccak256(abi.encode(b.handles));
        if (!isOneRequest || keccak256(a.result) == keccak256(b.result)) revert NoConflict();
        (uint256 first, uint256 count) = registry.signersOf(a.epoch, a.hash(), signatureA);
        (uint256 second,) = registry.signersOf(b.epoch, b.hash(), signatureB);
        if (first != second || count != 1) revert NotOneParty();
        caught[a.epoch] |= first;
        party = uint8(Quorum.size(first - 1)) + 1;
        emit ConflictingResults(a.epoch, party, a.requestId, a.hash(), b.hash());
    }
}
