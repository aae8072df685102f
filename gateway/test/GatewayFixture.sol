// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {KeyStates} from "../contracts/common/KeyStates.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Commands} from "../contracts/gateway/Commands.sol";
import {Committees} from "../contracts/gateway/Committees.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Keys} from "../contracts/gateway/Keys.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {Parties} from "./Parties.sol";

/// @title A whole gateway: four operators, a committee (4,1), three coprocessors, one host chain
abstract contract GatewayFixture is Parties {
    using Membership for *;
    using Ceremonies for *;

    uint256 internal constant HOST = 31338;
    uint256 internal constant ALL = 15;
    uint256 internal constant THREE = 7;
    bytes32 internal constant KEY = keccak256("key");
    uint8 internal constant BFV_8192 = 2;

    Registry internal registry;
    Keys internal keys;
    Ciphertexts internal ciphertexts;
    Decryptions internal decryptions;
    bytes32 internal domain;
    uint256 private _salt;

    function deployGateway() internal {
        vm.warp(1_800_000_000);
        registry = new Registry(operators());
        keys = new Keys(registry);
        ciphertexts = new Ciphertexts(registry, keys);
        decryptions = new Decryptions(registry, keys, ciphertexts);
        domain = registry.domain();
        Registry.Contracts memory all =
            Registry.Contracts(address(keys), address(ciphertexts), address(decryptions));
        decide(address(registry), abi.encodeCall(Registry.begin, (bytes32("kms\x00network"))));
        decide(address(registry), abi.encodeCall(Registry.setContracts, (all)));
        decide(address(registry), abi.encodeCall(Registry.setCoprocessors, (coprocessors())));
        decide(address(registry), abi.encodeCall(Registry.setHostChain, (hostChain(HOST))));
    }

    function deployActiveGateway() internal {
        deployGateway();
        beginEpoch0();
        makeActiveKey(KEY);
    }

    function operators() internal pure returns (address[] memory list) {
        list = new address[](4);
        for (uint160 i; i < 4; ++i) list[i] = address(0x0F00 + i);
    }

    function coprocessors() internal pure returns (address[] memory list) {
        list = new address[](3);
        for (uint160 i; i < 3; ++i) list[i] = address(0x0C00 + i);
    }

    function hostChain(uint256 chainId) internal pure returns (Registry.HostChain memory chain) {
        chain.chainId = chainId;
        chain.verifier = address(0xFE01);
        chain.oracle = address(0xFE02);
        chain.accessControl = address(0xFE03);
        chain.compute = address(0xFE04);
        chain.confirmations = 2;
    }

    /// @notice The same call from the first three operators.
    function decide(address target, bytes memory call) internal returns (bytes memory result) {
        for (uint256 i; i < 3; ++i) {
            vm.prank(operators()[i]);
            bool isDone;
            (isDone, result) = target.call(call);
            if (!isDone) {
                assembly ("memory-safe") {
                    revert(add(result, 32), mload(result))
                }
            }
        }
    }

    function node(uint64 epoch, uint8 party) internal pure returns (Committees.Node memory n) {
        n.sender = address(uint160(0x5E00 + 256 * uint160(epoch) + party));
        n.signer = vm.addr(secretOf(epoch, party));
        n.identity = keccak256(abi.encode("identity", epoch, party));
        n.tlsRoot = keccak256(abi.encode("tls", epoch, party));
        n.epochKey = keccak256(abi.encode("epoch key", epoch, party));
        n.measurement = keccak256("measurement");
        (n.endpoint, n.organisation, n.cloudAccount, n.region) = ("node:443", "organisation", "account", "region");
    }

    function proposeEpoch(uint64 epoch, uint8 n, uint8 t) internal {
        Committees.Node[] memory nodes = new Committees.Node[](n);
        for (uint8 i; i < n; ++i) nodes[i] = node(epoch, i + 1);
        decide(address(registry), abi.encodeCall(Committees.proposeEpoch, (epoch, t, nodes)));
    }

    function enrolment(uint64 epoch, uint8 party) internal pure returns (Membership.NodeEnrolment memory) {
        Committees.Node memory n = node(epoch, party);
        return Membership.NodeEnrolment(
            epoch, party, n.signer, n.identity, n.tlsRoot, n.measurement, keccak256("document")
        );
    }

    function enrolAll(uint64 epoch, uint8 n, uint64 byEpoch, uint256 by) internal {
        for (uint8 party = 1; party <= n; ++party) {
            Membership.NodeEnrolment memory e = enrolment(epoch, party);
            registry.enrol(e, signed(domain, e.hash(), byEpoch, by));
        }
    }

    function beginEpoch0() internal {
        proposeEpoch(0, 4, 1);
        enrolAll(0, 4, 0, ALL);
    }

    /// @notice Requests a command and gives it back as its event does.
    function command(uint8 kind, bytes memory payload) internal returns (Commands.Command memory c) {
        bytes memory id = decide(address(keys), abi.encodeCall(Keys.request, (kind, payload, 1 days, ++_salt)));
        c = Commands.Command(
            abi.decode(id, (uint256)),
            kind,
            registry.currentEpoch(),
            payload,
            uint64(block.timestamp),
            uint64(block.timestamp) + 1 days
        );
    }

    function generateKey(bytes32 keyId) internal {
        Commands.Command memory c = command(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)));
        Ceremonies.KeyGeneration memory s =
            Ceremonies.KeyGeneration(c.id, keyId, BFV_8192, c.epoch, keccak256("record"));
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), c.epoch, THREE));
    }

    function moveKey(bytes32 keyId, uint8 toState) internal {
        Commands.Command memory c = command(Commands.LIFECYCLE, abi.encode(keyId, toState));
        Ceremonies.LifecycleTransition memory s =
            Ceremonies.LifecycleTransition(c.id, keyId, keys.keyState(keyId), toState, c.epoch);
        keys.respond(c, abi.encode(s), signed(domain, s.hash(), c.epoch, THREE));
    }

    function makeActiveKey(bytes32 keyId) internal {
        generateKey(keyId);
        moveKey(keyId, KeyStates.ACTIVE);
    }

    /// @notice A ciphertext with a well formed handle; different for each seed.
    function ciphertext(uint256 seed) internal pure returns (Ciphertexts.Ciphertext memory c) {
        c.provenance = keccak256(abi.encode("provenance", seed));
        c.handle = Handles.derive(c.provenance, HOST, Handles.SCALAR);
        (c.keyId, c.digest, c.kind) = (KEY, keccak256(abi.encode("digest", seed)), Handles.SCALAR);
        (c.level, c.bound) = (3, 3920608);
    }

    function commit(Ciphertexts.Ciphertext memory c, uint256 coprocessor) internal {
        Ciphertexts.Ciphertext[] memory list = new Ciphertexts.Ciphertext[](1);
        list[0] = c;
        vm.prank(coprocessors()[coprocessor]);
        ciphertexts.commit(list, new Ciphertexts.Access[](0));
    }

    function mirror(bytes32 handle, address account, uint64 version, bool allowed, uint256 coprocessor) internal {
        Ciphertexts.Access[] memory grants = new Ciphertexts.Access[](1);
        grants[0] = Ciphertexts.Access(handle, HOST, account, version, allowed);
        vm.prank(coprocessors()[coprocessor]);
        ciphertexts.commit(new Ciphertexts.Ciphertext[](0), grants);
    }

    /// @notice A committed ciphertext that the account may use, as a majority saw it; account 0 makes it public.
    function committed(uint256 seed, address account) internal returns (bytes32 handle) {
        for (uint256 i; i < 2; ++i) {
            commit(ciphertext(seed), i);
            mirror(ciphertext(seed).handle, account, 1, true, i);
        }
        return ciphertext(seed).handle;
    }

    function one(bytes32 handle) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](1);
        list[0] = handle;
    }
}
