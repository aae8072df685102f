// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Limits of requests: handles, bytes, time, and how many in an hour
abstract contract Limits {
    uint256 public constant MAX_HANDLES = 64;
    uint256 public constant MAX_CIPHERTEXT_BYTES = 16 << 20;
    uint256 public constant MAX_RESULT_BYTES = 256 << 10;
    uint64 public constant MIN_LIFETIME = 30;
    uint64 public constant MAX_LIFETIME = 7 days;
    uint64 public constant WINDOW_SECONDS = 3600;

    struct Usage {
        uint64 windowStart;
        uint64 count;
    }

    /// @notice Requests of one requester within a window.
    uint64 public maxPerWindow;
    mapping(address => Usage) public usage;

    event RateSet(uint64 perWindow);

    error TooManyHandles(uint256 count);
    error TooManyBytes(uint256 sizeBytes);
    error BadLifetime(uint64 seconds_);
    error RateExceeded(address requester);

    function _count(address requester) internal {
        Usage memory u = usage[requester];
        if (block.timestamp >= u.windowStart + WINDOW_SECONDS) u = Usage(uint64(block.timestamp), 0);
        if (u.count >= maxPerWindow) revert RateExceeded(requester);
        ++u.count;
        usage[requester] = u;
    }

    function _requireLifetime(uint64 lifetime) internal pure {
        if (lifetime < MIN_LIFETIME || lifetime > MAX_LIFETIME) revert BadLifetime(lifetime);
    }
}
