// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TypedDomain} from "../contracts/common/TypedDomain.sol";
import {Checks} from "./Vm.sol";

/// @title Parties that sign
/// @notice Party i of epoch e has the secret 1000 * (e + 1) + i.
abstract contract Parties is Checks {
    uint256 internal constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function secretOf(uint64 epoch, uint8 party) internal pure returns (uint256) {
        return 1000 * (uint256(epoch) + 1) + party;
    }

    function signersIn(uint64 epoch, uint8 n) internal pure returns (address[] memory signers) {
        signers = new address[](n);
        for (uint8 i; i < n; ++i) signers[i] = vm.addr(secretOf(epoch, i + 1));
    }

    function signature(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice The other signature of the same signer over the same digest.
    function highS(bytes memory low) internal pure returns (bytes memory) {
        bytes32 r;
        uint256 s;
        assembly ("memory-safe") {
            r := mload(add(low, 32))
            s := mload(add(low, 64))
        }
        return abi.encodePacked(r, bytes32(ORDER - s), uint8(low[64]) == 27 ? uint8(28) : uint8(27));
    }

    /// @param parties bit i-1 for party i
    function signed(bytes32 domain, bytes32 structHash, uint64 epoch, uint256 parties)
        internal
        pure
        returns (bytes memory all)
    {
        bytes32 digest = TypedDomain.digest(domain, structHash);
        for (uint8 party = 1; party <= 64; ++party) {
            if ((parties >> (party - 1)) & 1 == 1) {
                all = abi.encodePacked(all, signature(secretOf(epoch, party), digest));
            }
        }
    }
}
