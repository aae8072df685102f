// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Membership} from "../common/Membership.sol";
import {Quorum} from "../common/Quorum.sol";
import {Committees} from "./Committees.sol";

/// @title The registry: what a network is, who its members are, which contracts and chains belong to it
/// @notice Never upgraded: a new registry is a new gateway in a new configuration. Its runtime code hash stands in genesis. Slots
/// that enclaves prove: gateway/README.md.
contract Registry is Committees {
    using Membership for *;

    struct HostChain {
        uint256 chainId;
        address verifier;
        address oracle;
        address accessControl;
        address compute;
        bytes32 verifierCodeHash;
        bytes32 oracleCodeHash;
        bytes32 accessControlCodeHash;
        bytes32 computeCodeHash;
        uint64 confirmations;
    }

    struct Contracts {
        address keys;
        address ciphertexts;
        address decryptions;
    }

    uint256 public constant MIN_COPROCESSORS = 3;

    /// @notice The network id: genesis' hash. Set once.
    bytes32 public networkId;
    /// @notice Digest of each configuration, as its governance signed it.
    mapping(uint64 => bytes32) public configurations;
    uint64 public configurationCount;
    /// @notice New requests are refused; answers, expiry, refunds and commands under way go on.
    bool public paused;
    Contracts public contracts;
    /// @notice keccak256 of all fields of a host chain.
    mapping(uint256 => bytes32) public hostChainHashes;
    mapping(uint256 => HostChain) internal _hostChains;
    uint32 public coprocessorVersion;
    uint8 public coprocessorCount;
    mapping(uint32 => mapping(address => uint8)) internal _coprocessorIndex;
    /// @notice keccak256(identity, version, state, auditHead): the newest state of a node that nobody turns back.
    mapping(bytes32 => bytes32) public anchors;
    mapping(bytes32 => uint64) public anchorVersions;
    /// @notice keccak256(keys, ciphertexts, decryptions, then the hash of each one's code when it was set): an address alone does not
    /// say what its code is on a chain where code can change.
    bytes32 public contractsHash;

    event NetworkBegun(bytes32 indexed networkId);
    event ContractsSet(address keys, address ciphertexts, address decryptions);
    event ConfigurationPublished(uint64 indexed number, bytes32 digest);
    event HostChainSet(uint256 indexed chainId, HostChain chain);
    event CoprocessorsSet(uint32 version, address[] coprocessors);
    event Paused();
    event Resumed();
    event Anchored(bytes32 indexed identity, uint64 version, bytes32 state, bytes32 auditHead);

    error AlreadySet();
    error BadCoprocessors();
    error WrongConfiguration(uint64 number);
    error NotTheKeys(address caller);
    error NotAContractOfThis(address caller);
    error AnchorBehind(uint64 version, uint64 anchored);
    error UnknownIdentity(bytes32 identity);
    error UnknownChain(uint256 chainId);

    constructor(address[] memory operators) {
        _setOperators(operators);
    }

    // Governance: each of these is one call by a quorum of operators.

    function begin(bytes32 id) external byOperators {
        if (networkId != 0 || id == 0) revert AlreadySet();
        networkId = id;
        emit NetworkBegun(id);
    }

    function setContracts(Contracts calldata to) external byOperators {
        if (contracts.keys != address(0)) revert AlreadySet();
        contracts = to;
        contractsHash = keccak256(
            abi.encode(to, to.keys.codehash, to.ciphertexts.codehash, to.decryptions.codehash)
        );
        emit ContractsSet(to.keys, to.ciphertexts, to.decryptions);
    }

    function setOperators(address[] calldata operators) external byOperators {
        _setOperators(operators);
    }

    /// @notice Numbered without gaps and never replaced; its signatures are checked by those who use it.
    function publishConfiguration(uint64 number, bytes32 configurationDigest) external byOperators {
        if (number != configurationCount || configurationDigest == 0) revert WrongConfiguration(number);
        configurations[number] = configurationDigest;
        configurationCount = number + 1;
        emit ConfigurationPublished(number, configurationDigest);
    }

    function setHostChain(HostChain calldata chain) external byOperators {
        if (chain.chainId == 0) revert UnknownChain(0);
        _hostChains[chain.chainId] = chain;
        hostChainHashes[chain.chainId] = keccak256(abi.encode(chain));
        emit HostChainSet(chain.chainId, chain);
    }

    function setCoprocessors(address[] calldata coprocessors) external byOperators {
        uint256 count = coprocessors.length;
        if (count < MIN_COPROCESSORS || count > Quorum.MAX_PARTIES) revert BadCoprocessors();
        uint32 version = ++coprocessorVersion;
        coprocessorCount = uint8(count);
        for (uint256 i; i < count; ++i) {
            address account = coprocessors[i];
            if (account == address(0) || _coprocessorIndex[version][account] != 0) revert BadCoprocessors();
            _coprocessorIndex[version][account] = uint8(i + 1);
        }
        emit CoprocessorsSet(version, coprocessors);
    }

    function pause() external byOperators {
        paused = true;
        emit Paused();
    }

    function resume() external byOperators {
        paused = false;
        emit Resumed();
    }

    // For the network's other contracts.

    /// @notice Counts an operator's approval of a call to one of the network's contracts; true when the quorum is complete.
    function approve(address operator, bytes32 callHash) external returns (bool) {
        if (msg.sender != contracts.keys && msg.sender != contracts.decryptions) revert NotAContractOfThis(msg.sender);
        return _approve(operator, msg.sender, callHash);
    }

    function activateEpoch(uint64 epoch) external {
        if (msg.sender != contracts.keys) revert NotTheKeys(msg.sender);
        _activate(epoch);
    }

    // For nodes.

    /// @notice Forward only; signed by the node's enrolled signer of the current epoch, posted by anybody.
    function anchor(uint8 party, Membership.Anchor calldata a, bytes calldata signature) external {
        uint64 epoch = currentEpoch;
        if (epoch == NO_EPOCH || identityOf[epoch][party] != a.identity) revert UnknownIdentity(a.identity);
        bytes32 statement = a.hash();
        (uint256 parties,) = signersOf(epoch, statement, signature);
        if (parties != 1 << (party - 1)) revert NotTheMember(party);
        if (a.version <= anchorVersions[a.identity]) revert AnchorBehind(a.version, anchorVersions[a.identity]);
        anchorVersions[a.identity] = a.version;
        anchors[a.identity] = keccak256(abi.encode(a.identity, a.version, a.state, a.auditHead));
        emit Anchored(a.identity, a.version, a.state, a.auditHead);
    }

    // Views.

    function hostChain(uint256 chainId) external view returns (HostChain memory chain) {
        chain = _hostChains[chainId];
        if (chain.chainId == 0) revert UnknownChain(chainId);
    }

    /// @return index 1..count, 0 for everybody else
    function coprocessorIndex(address account) external view returns (uint8 index) {
        return _coprocessorIndex[coprocessorVersion][account];
    }
}
