// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who may use a handle
/// @notice access[handle][account] is version << 1 | allowed; the version counts changes, so that neither a mirror nor a withheld head
/// revives a revoked grant. Account 0 stands for everybody. Enclaves prove this slot for every decryption.
contract AccessControl {
    address public immutable deployer;
    address public compute;
    address public oracle;

    mapping(bytes32 => mapping(address => uint256)) public access;
    mapping(bytes32 => address) public ownerOf;
    /// @notice Handle => other chain => account there => version << 1 | allowed; what the enclaves prove for a transfer.
    mapping(bytes32 => mapping(uint256 => mapping(address => uint256))) public remoteAccess;

    event AccessChanged(bytes32 indexed handle, address indexed account, uint64 version, bool allowed);
    event RemoteAccessChanged(
        bytes32 indexed handle, uint256 indexed chainId, address indexed account, uint64 version, bool allowed
    );

    error NotAuthorized(address caller);
    error NotTheOwner(bytes32 handle, address caller);
    error NotAllowed(bytes32 handle, address account);
    error AlreadyOpen();
    error PublicForEver(bytes32 handle);
    error HandleExists(bytes32 handle);

    constructor() {
        deployer = msg.sender;
    }

    /// @notice Once, by the deployer, who has no right afterwards.
    function open(address compute_, address oracle_) external {
        if (msg.sender != deployer) revert NotAuthorized(msg.sender);
        if (compute != address(0)) revert AlreadyOpen();
        (compute, oracle) = (compute_, oracle_);
    }

    function isAllowed(bytes32 handle, address account) public view returns (bool) {
        return access[handle][account] & 1 == 1 || isPublic(handle);
    }

    function isPublic(bytes32 handle) public view returns (bool) {
        return access[handle][address(0)] & 1 == 1;
    }

    /// @notice Accounts and contracts alike.
    function allow(bytes32 handle, address account) external {
        _requireOwner(handle);
        if (account == address(0)) revert NotAllowed(handle, account);
        _set(handle, account, true);
    }

    function revoke(bytes32 handle, address account) external {
        _requireOwner(handle);
        if (account == address(0)) revert PublicForEver(handle);
        _set(handle, account, false);
    }

    function allowOn(bytes32 handle, uint256 chainId, address account, bool allowed) external {
        _requireOwner(handle);
        uint64 version = uint64(remoteAccess[handle][chainId][account] >> 1) + 1;
        remoteAccess[handle][chainId][account] = _slot(version, allowed);
        emit RemoteAccessChanged(handle, chainId, account, version, allowed);
    }

    /// @notice Whoever may read a value may make it public: it could tell it anyway. There is no way back.
    function publish(bytes32 handle) external {
        if (!isAllowed(handle, msg.sender)) revert NotAllowed(handle, msg.sender);
        _publish(handle);
    }

    /// @notice The oracle publishes what a contract that may read it asks to have decrypted.
    function publishFor(bytes32 handle, address account) external {
        if (msg.sender != oracle) revert NotAuthorized(msg.sender);
        if (!isAllowed(handle, account)) revert NotAllowed(handle, account);
        _publish(handle);
    }

    /// @notice A new handle and its owner.
    function register(bytes32 handle, address owner) external {
        if (msg.sender != compute) revert NotAuthorized(msg.sender);
        if (ownerOf[handle] != address(0)) revert HandleExists(handle);
        ownerOf[handle] = owner;
        _set(handle, owner, true);
    }

    /// @notice A handle of another chain: usable here, owned there.
    function admit(bytes32 handle, address account) external {
        if (msg.sender != compute) revert NotAuthorized(msg.sender);
        _set(handle, account, true);
    }

    function _publish(bytes32 handle) private {
        if (!isPublic(handle)) _set(handle, address(0), true);
    }

    function _set(bytes32 handle, address account, bool allowed) private {
        uint64 version = uint64(access[handle][account] >> 1) + 1;
        access[handle][account] = _slot(version, allowed);
        emit AccessChanged(handle, account, version, allowed);
    }

    function _slot(uint64 version, bool allowed) private pure returns (uint256) {
        return (uint256(version) << 1) | (allowed ? 1 : 0);
    }

    function _requireOwner(bytes32 handle) private view {
        if (ownerOf[handle] != msg.sender) revert NotTheOwner(handle, msg.sender);
    }
}
