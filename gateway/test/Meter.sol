// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HostFixture} from "./HostFixture.sol";
import {RequestFixture} from "./RequestFixture.sol";
import {Checks} from "./Vm.sol";

/// @title What a transaction costs
/// @notice 21000, its calldata, and its execution on cold storage; refunds are not counted. What comes before the transaction belongs
/// into setUp: vm.cool cools slots, but contracts that a test has called stay warm, and slots that it has written are cheaper to write.
abstract contract Meter is Checks {
    /// @dev What a call with value pays and a transaction does not: 9000, less the stipend.
    uint256 private constant VALUE_GAS = 6_700;

    function calldataGas(bytes memory data) internal pure returns (uint256 gas) {
        for (uint256 i; i < data.length; ++i) gas += data[i] == 0 ? 4 : 16;
    }

    function measured(string memory name, address target, uint256 value, bytes memory data)
        internal
        returns (uint256 total)
    {
        // A transaction's target is warm.
        isTrue(target.code.length != 0, name);
        bool isDone;
        uint256 before = gasleft();
        // Solidity's own call would copy the calldata first, and count that.
        assembly ("memory-safe") {
            isDone := call(gas(), target, value, add(data, 32), mload(data), 0, 0)
        }
        uint256 used = before - gasleft();
        total = used + 21_000 + calldataGas(data) - (value == 0 ? 0 : VALUE_GAS);
        if (!isDone) {
            assembly ("memory-safe") {
                let free := mload(64)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
        emit log_named_uint(name, total);
    }

    function coolAll() internal virtual;

    function cold(string memory name, address target, bytes memory data) internal {
        coolAll();
        measured(name, target, 0, data);
    }

    function coldBy(address sender, string memory name, address target, bytes memory data) internal {
        coolAll();
        vm.prank(sender);
        measured(name, target, 0, data);
    }
}

abstract contract GatewayMeter is RequestFixture, Meter {
    function coolAll() internal virtual override {
        vm.cool(address(registry));
        vm.cool(address(keys));
        vm.cool(address(ciphertexts));
        vm.cool(address(decryptions));
    }
}

abstract contract HostMeter is HostFixture, Meter {
    function coolAll() internal override {
        vm.cool(address(verifier));
        vm.cool(address(keyring));
        vm.cool(address(accessControl));
        vm.cool(address(compute));
        vm.cool(address(oracle));
        vm.cool(address(submitters));
    }
}
