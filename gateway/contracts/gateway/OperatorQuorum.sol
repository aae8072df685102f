// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What operators decide together: the same call from a quorum of them
/// @notice Every operator sends the identical transaction; the one that completes the quorum carries it out. n - floor((n-1)/3) of n
/// must agree, so two quorums share an honest operator. Operators hold ordinary accounts, never an enclave's key.
abstract contract OperatorQuorum {
    struct OperatorSet {
        uint32 version;
        uint8 count;
        uint8 quorum;
    }

    OperatorSet private _set;
    /// @dev Set version => account => 1..count.
    mapping(uint32 => mapping(address => uint8)) private _indexOf;
    /// @dev Approvals of an action, bit i-1 for operator i; the action's hash names the set's version.
    mapping(bytes32 => uint256) private _approvals;

    event OperatorsChanged(uint32 version, address[] operators, uint8 quorum);
    event ActionApproved(bytes32 indexed action, address indexed operator, uint256 approvals, uint8 quorum);
    event ActionWithdrawn(bytes32 indexed action, address indexed operator);
    event ActionCarriedOut(bytes32 indexed action);

    error NotAnOperator(address account);
    error AlreadyApproved(address operator);
    error BadOperators();

    /// @dev The body runs in the call that completes the quorum; the calls before it record an approval and return zeros.
    modifier byOperators() {
        if (_approve(msg.sender, address(this), keccak256(msg.data))) {
            _;
        }
    }

    function operatorSet() external view returns (OperatorSet memory) {
        return _set;
    }

    function operatorIndex(address account) public view returns (uint8) {
        return _indexOf[_set.version][account];
    }

    /// @notice What an approval is recorded under.
    function actionOf(address target, bytes32 callHash) public view returns (bytes32) {
        return keccak256(abi.encode(_set.version, target, callHash));
    }

    function approvalsOf(bytes32 action) external view returns (uint256) {
        return _approvals[action];
    }

    /// @notice An operator changes its mind before the quorum is complete.
    function withdrawApproval(bytes32 action) external {
        uint256 bit = _bit(msg.sender);
        if (_approvals[action] & bit == 0) revert NotAnOperator(msg.sender);
        _approvals[action] &= ~bit;
        emit ActionWithdrawn(action, msg.sender);
    }

    function _approve(address operator, address target, bytes32 callHash) internal returns (bool complete) {
        uint256 bit = _bit(operator);
        bytes32 action = actionOf(target, callHash);
        uint256 approvals = _approvals[action];
        if (approvals & bit != 0) revert AlreadyApproved(operator);
        approvals |= bit;
        uint256 count;
        for (uint256 rest = approvals; rest != 0; rest &= rest - 1) ++count;
        emit ActionApproved(action, operator, count, _set.quorum);
        complete = count >= _set.quorum;
        if (complete) {
            delete _approvals[action];
            emit ActionCarriedOut(action);
        } else {
            _approvals[action] = approvals;
        }
    }

    /// @dev A new version makes every approval of the old one void.
    function _setOperators(address[] memory operators) internal {
        uint256 n = operators.length;
        if (n < 4 || n > 64) revert BadOperators();
        uint32 version = _set.version + 1;
        uint8 quorum = uint8(n - (n - 1) / 3);
        _set = OperatorSet(version, uint8(n), quorum);
        for (uint256 i; i < n; ++i) {
            address account = operators[i];
            if (account == address(0) || _indexOf[version][account] != 0) revert BadOperators();
            _indexOf[version][account] = uint8(i + 1);
        }
        emit OperatorsChanged(version, operators, quorum);
    }

    function _bit(address operator) private view returns (uint256) {
        uint8 index = _indexOf[_set.version][operator];
        if (index == 0) revert NotAnOperator(operator);
        return 1 << (index - 1);
    }
}
