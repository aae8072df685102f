// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The cheat codes of forge that the tests use
interface Vm {
    function addr(uint256 secret) external pure returns (address);
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function cool(address target) external;
    function deal(address account, uint256 amount) external;
    function etch(address target, bytes calldata code) external;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit() external;
    function load(address target, bytes32 slot) external view returns (bytes32);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function prank(address sender) external;
    function readFile(string calldata path) external view returns (string memory);
    function sign(uint256 secret, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function startPrank(address sender) external;
    function stopPrank() external;
    function toString(uint256 value) external pure returns (string memory);
    function warp(uint256 timestamp) external;
    function recordLogs() external;

    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function getRecordedLogs() external returns (Log[] memory);
}

/// @title Assertions
abstract contract Checks {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// @dev Tells forge that this contract holds tests.
    bool public IS_TEST = true;

    event log_named_uint(string key, uint256 value);

    error NotEqual(bytes32 got, bytes32 expected, string what);
    error NotTrue(string what);

    function equal(bytes32 got, bytes32 expected, string memory what) internal pure {
        if (got != expected) revert NotEqual(got, expected, what);
    }

    function equal(uint256 got, uint256 expected, string memory what) internal pure {
        equal(bytes32(got), bytes32(expected), what);
    }

    function equal(address got, address expected, string memory what) internal pure {
        equal(uint160(got), uint160(expected), what);
    }

    function isTrue(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }
}
