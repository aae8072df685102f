// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {InputVerifier} from "./InputVerifier.sol";

/// @title Inputs by allow-listed submitters, until proofs of input exist
/// @notice A submitter vouches that it saw the plaintext's proof by other means. One decryption of a ciphertext of one's own making
/// can be the key itself, so whoever is on this list is trusted with the network's key (protocols.md section 5).
contract Submitters is InputVerifier {
    bytes32 internal constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant INPUT =
        keccak256("Input(address application,address user,bytes32 digest,bytes32 keyId,uint8 kind)");

    address public immutable owner;
    mapping(address => bool) public isSubmitter;

    event SubmitterSet(address indexed submitter, bool allowed);

    error NotTheOwner(address caller);

    constructor(address[] memory submitters) {
        owner = msg.sender;
        for (uint256 i; i < submitters.length; ++i) _set(submitters[i], true);
    }

    function set(address submitter, bool allowed) external {
        if (msg.sender != owner) revert NotTheOwner(msg.sender);
        _set(submitter, allowed);
    }

    /// @notice What a submitter signs: for this chain, application and user only, so no input is replayed by another.
    function inputDigest(address application, address user, bytes32 digest, bytes32 keyId, uint8 kind)
        public
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN, keccak256("Threshold KMS input"), keccak256("1"), block.chainid, address(this))
        );
        bytes32 structHash = keccak256(abi.encode(INPUT, application, user, digest, keyId, kind));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function verifyInput(
        address application,
        address user,
        bytes32 digest,
        bytes32 keyId,
        uint8 kind,
        bytes calldata proof
    ) external view returns (bool) {
        bytes32 signed = inputDigest(application, user, digest, keyId, kind);
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecover(signed, proof);
        return fault == ECDSA.RecoverError.NoError && isSubmitter[recovered];
    }

    function _set(address submitter, bool allowed) private {
        isSubmitter[submitter] = allowed;
        emit SubmitterSet(submitter, allowed);
    }
}
