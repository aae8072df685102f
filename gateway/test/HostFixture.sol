// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {Results} from "../contracts/common/Results.sol";
import {AccessControl} from "../contracts/host/AccessControl.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {DecryptionOracle} from "../contracts/host/DecryptionOracle.sol";
import {Keyring} from "../contracts/host/Keyring.sol";
import {KmsVerifier} from "../contracts/host/KmsVerifier.sol";
import {Submitters} from "../contracts/host/Submitters.sol";
import {Parties} from "./Parties.sol";

/// @title A host chain of a network (4,1), whose key is active
abstract contract HostFixture is Parties {
    using Ceremonies for *;
    using Results for *;

    uint256 internal constant GATEWAY_CHAIN = 31337;
    address internal constant REGISTRY = address(0x4E6);
    uint256 internal constant HOST = 31338;
    uint256 internal constant SUBMITTER_SECRET = 0x5AB;
    bytes32 internal constant KEY = keccak256("key");
    uint256 internal constant THREE = 7;

    KmsVerifier internal verifier;
    Keyring internal keyring;
    AccessControl internal accessControl;
    Submitters internal submitters;
    Compute internal compute;
    DecryptionOracle internal oracle;
    bytes32 internal domain;

    function deployHost() internal {
        vm.chainId(HOST);
        vm.warp(1_800_000_000);
        verifier = new KmsVerifier(GATEWAY_CHAIN, REGISTRY, 0, 1, signersIn(0, 4));
        domain = verifier.domain();
        keyring = new Keyring(verifier);
        accessControl = new AccessControl();
        address[] memory list = new address[](1);
        list[0] = vm.addr(SUBMITTER_SECRET);
        submitters = new Submitters(list);
        compute = new Compute(accessControl, keyring, submitters);
        oracle = new DecryptionOracle(verifier, accessControl, compute);
        accessControl.open(address(compute), address(oracle));
        addKey(KEY, 2);
        moveKey(KEY, 1, 2, 2);
    }

    function addKey(bytes32 keyId, uint8 preset) internal {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(1, keyId, preset, 0, keccak256("record"));
        keyring.add(s, signed(domain, s.hash(), 0, THREE));
    }

    function moveKey(bytes32 keyId, uint8 fromState, uint8 toState, uint256 commandId) internal {
        Ceremonies.LifecycleTransition memory s =
            Ceremonies.LifecycleTransition(commandId, keyId, fromState, toState, 0);
        keyring.move(s, signed(domain, s.hash(), 0, THREE));
    }

    function inputProof(address application, address user, bytes32 digest) internal view returns (bytes memory) {
        return signature(
            SUBMITTER_SECRET, submitters.inputDigest(application, user, digest, KEY, Handles.SCALAR)
        );
    }

    /// @notice An input of this test contract.
    function input(uint256 seed) internal returns (bytes32) {
        bytes32 digest = keccak256(abi.encode("envelope", seed));
        return compute.input(digest, KEY, Handles.SCALAR, address(this), inputProof(address(this), address(this), digest));
    }

    function resultFor(DecryptionOracle.Request memory r, bytes memory result)
        internal
        view
        returns (Results.PublicDecryption memory)
    {
        return Results.PublicDecryption(
            9, HOST, address(verifier), r.consumer, oracle.requests(r.id), r.keyId, 2, 0, r.handles, result
        );
    }

    /// @notice As the oracle's event gives it.
    function oracleRequest(uint256 id, address consumer, bytes4 selector, uint32 gasLimit, bytes32 handle)
        internal
        view
        returns (DecryptionOracle.Request memory r)
    {
        r = DecryptionOracle.Request(
            id, HOST, address(oracle), consumer, selector, gasLimit, KEY, uint64(block.timestamp), 0, one(handle)
        );
        equal(oracle.requests(id), keccak256(abi.encode(r)), "the slot holds every field");
    }

    function deliver(DecryptionOracle.Request memory r, bytes memory result) internal {
        Results.PublicDecryption memory s = resultFor(r, result);
        oracle.deliver(r, s, signed(domain, s.hash(), 0, THREE));
    }

    function one(bytes32 handle) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = handle;
    }
}
