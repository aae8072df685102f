// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../common/Quorum.sol";
import {Registry} from "./Registry.sol";

/// @title Fees: paid with a request, shared by the parties that signed the answer, returned when none came in time
/// @notice An answer adds to the pot of its set of signers, one slot; anybody divides a pot, everybody withdraws its own.
abstract contract Fees {
    /// @notice Wei per handle.
    uint256 public feePerHandle;
    /// @notice Epoch => parties (bit i-1 for party i) => wei.
    mapping(uint64 => mapping(uint256 => uint256)) public pots;
    mapping(address => uint256) public owed;

    event FeeSet(uint256 perHandle);
    event PotDivided(uint64 indexed epoch, uint256 parties, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);

    error WrongFee(uint256 paid, uint256 needed);
    error TransferFailed(address account);

    function withdraw() external {
        uint256 amount = owed[msg.sender];
        owed[msg.sender] = 0;
        (bool isPaid,) = msg.sender.call{value: amount}("");
        if (!isPaid) revert TransferFailed(msg.sender);
        emit Withdrawn(msg.sender, amount);
    }

    /// @dev What does not divide stays in the pot.
    function _divide(Registry registry, uint64 epoch, uint256 parties) internal {
        uint256 size = Quorum.size(parties);
        if (size == 0) return;
        uint256 part = pots[epoch][parties] / size;
        pots[epoch][parties] -= part * size;
        for (uint8 party = 1; party <= Quorum.MAX_PARTIES; ++party) {
            if ((parties >> (party - 1)) & 1 == 1) owed[registry.senderOf(epoch, party)] += part;
        }
        emit PotDivided(epoch, parties, part * size);
    }
}
