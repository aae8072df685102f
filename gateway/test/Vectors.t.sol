// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Batch} from "../contracts/common/Batch.sol";
import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Handles} from "../contracts/common/Handles.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {NoiseBound} from "../contracts/common/NoiseBound.sol";
import {Results} from "../contracts/common/Results.sol";
import {TypedDomain} from "../contracts/common/TypedDomain.sol";
import {Checks} from "./Vm.sol";

/// @title The Solidity side of test/vectors/gateway, which the TypeScript wrote
contract VectorsTest is Checks {
    using Results for *;
    using Ceremonies for *;
    using Membership for *;

    struct NoiseCase {
        uint8 preset;
        uint8 operation;
        uint256 a;
        uint8 levelA;
        uint256 b;
        uint8 levelB;
        bool isAllowed;
        uint256 bound;
        uint8 level;
    }

    function test_typedData() external view {
        string memory json = read("typed-data");
        bytes32 domain = TypedDomain.separator(31337, vm.parseJsonAddress(json, ".domain.registry"));
        equal(domain, vm.parseJsonBytes32(json, ".domain.separator"), "domain");
        address signer = vm.parseJsonAddress(json, ".signer");
        for (uint256 i; i < 16; ++i) {
            string memory path = string.concat(".types[", vm.toString(i), "]");
            string memory name = vm.parseJsonString(json, string.concat(path, ".name"));
            bytes32 structHash = hashOf(name, vm.parseJsonBytes(json, string.concat(path, ".encoded")));
            equal(structHash, vm.parseJsonBytes32(json, string.concat(path, ".structHash")), name);
            bytes32 digest = TypedDomain.digest(domain, structHash);
            equal(digest, vm.parseJsonBytes32(json, string.concat(path, ".digest")), name);
            bytes memory signature = vm.parseJsonBytes(json, string.concat(path, ".signature"));
            equal(ECDSA.recover(digest, signature), signer, name);
        }
    }

    function test_noise() external view {
        NoiseCase[] memory cases = abi.decode(vm.parseJsonBytes(read("noise"), ".encoded"), (NoiseCase[]));
        isTrue(cases.length > 500, "cases");
        for (uint256 i; i < cases.length; ++i) {
            NoiseCase memory c = cases[i];
            try this.applyRule(c) returns (uint256 bound, uint8 level) {
                isTrue(c.isAllowed, string.concat("allowed ", vm.toString(i)));
                equal(bound, c.bound, string.concat("bound ", vm.toString(i)));
                equal(level, c.level, string.concat("level ", vm.toString(i)));
            } catch (bytes memory reason) {
                isTrue(!c.isAllowed, string.concat("refused ", vm.toString(i)));
                bytes4 selector = bytes4(reason);
                bool isOurs = selector == NoiseBound.TooNoisy.selector || selector == NoiseBound.WrongLevel.selector
                    || selector == NoiseBound.NotDecryptable.selector || selector == NoiseBound.BadPlaintext.selector;
                isTrue(isOurs, string.concat("error ", vm.toString(i)));
            }
        }
    }

    function applyRule(NoiseCase calldata c) external pure returns (uint256 bound, uint8 level) {
        level = c.levelA;
        if (c.operation == 1) bound = NoiseBound.add(c.preset, c.a, c.levelA, c.b, c.levelB);
        if (c.operation == 2) bound = NoiseBound.mul(c.preset, c.a, c.levelA, c.b, c.levelB);
        if (c.operation == 3) bound = NoiseBound.negate(c.preset, c.a, c.levelA);
        if (c.operation == 4) bound = NoiseBound.mulPlain(c.preset, c.a, c.levelA, c.b);
        if (c.operation == 5) bound = NoiseBound.rotate(c.preset, c.a, c.levelA);
        if (c.operation == 6) (bound, level) = NoiseBound.modSwitch(c.preset, c.a, c.levelA);
        if (c.operation == 7) {
            NoiseBound.checkDecryptable(c.preset, c.a, c.levelA);
            bound = c.a;
        }
    }

    function test_handles() external view {
        string memory json = read("handles");
        for (uint256 i; i < 3; ++i) {
            string memory path = string.concat("[", vm.toString(i), "]");
            Handles.Derivation memory d =
                abi.decode(vm.parseJsonBytes(json, string.concat(path, ".encoded")), (Handles.Derivation));
            bytes32 provenance = Handles.provenance(d);
            equal(provenance, vm.parseJsonBytes32(json, string.concat(path, ".provenance")), "provenance");
            bytes32 handle = Handles.derive(provenance, d.chainId, d.kind);
            equal(handle, vm.parseJsonBytes32(json, string.concat(path, ".handle")), "handle");
            Handles.requireForm(handle);
            equal(Handles.chainIdOf(handle), d.chainId, "chain");
            equal(Handles.kindOf(handle), d.kind, "kind");
        }
    }

    function test_merkle() external view {
        string memory json = read("merkle");
        for (uint256 i; i < 8; ++i) {
            string memory path = string.concat("[", vm.toString(i), "]");
            bytes32[] memory leaves = vm.parseJsonBytes32Array(json, string.concat(path, ".structs"));
            for (uint256 j; j < leaves.length; ++j) leaves[j] = Batch.leaf(leaves[j]);
            bytes32 last = leaves[leaves.length - 1];
            bytes32 root = vm.parseJsonBytes32(json, string.concat(path, ".root"));
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(path, ".lastProof"));
            isTrue(MerkleProof.verify(proof, root, last), "proof");
            equal(Batch.root(leaves), root, "root");
        }
    }

    function hashOf(string memory name, bytes memory encoded) private pure returns (bytes32) {
        bytes32 n = keccak256(bytes(name));
        if (n == keccak256("PublicDecryption")) return abi.decode(encoded, (Results.PublicDecryption)).hash();
        if (n == keccak256("UserDecryptionShare")) return abi.decode(encoded, (Results.UserDecryptionShare)).hash();
        if (n == keccak256("UserDecryptionRequest")) return abi.decode(encoded, (Results.UserDecryptionRequest)).hash();
        if (n == keccak256("UserDecryption")) return abi.decode(encoded, (Results.UserDecryption)).hash();
        if (n == keccak256("ResultBatch")) return abi.decode(encoded, (Results.ResultBatch)).hash();
        if (n == keccak256("HandleTransfer")) return abi.decode(encoded, (Results.HandleTransfer)).hash();
        if (n == keccak256("KeyGeneration")) return abi.decode(encoded, (Ceremonies.KeyGeneration)).hash();
        if (n == keccak256("CrsGeneration")) return abi.decode(encoded, (Ceremonies.CrsGeneration)).hash();
        if (n == keccak256("SwitchingKey")) return abi.decode(encoded, (Ceremonies.SwitchingKey)).hash();
        if (n == keccak256("LifecycleTransition")) return abi.decode(encoded, (Ceremonies.LifecycleTransition)).hash();
        if (n == keccak256("Backup")) return abi.decode(encoded, (Ceremonies.Backup)).hash();
        if (n == keccak256("Recovery")) return abi.decode(encoded, (Ceremonies.Recovery)).hash();
        if (n == keccak256("EpochChange")) return abi.decode(encoded, (Membership.EpochChange)).hash();
        if (n == keccak256("CommitteeChange")) return abi.decode(encoded, (Membership.CommitteeChange)).hash();
        if (n == keccak256("NodeEnrolment")) return abi.decode(encoded, (Membership.NodeEnrolment)).hash();
        if (n == keccak256("Anchor")) return abi.decode(encoded, (Membership.Anchor)).hash();
        revert NotTrue(name);
    }

    function read(string memory name) private view returns (string memory) {
        return vm.readFile(string.concat("../test/vectors/gateway/", name, ".json"));
    }
}
