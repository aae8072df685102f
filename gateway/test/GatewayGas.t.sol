// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ceremonies} from "../contracts/common/Ceremonies.sol";
import {Membership} from "../contracts/common/Membership.sol";
import {Results} from "../contracts/common/Results.sol";
import {Commands} from "../contracts/gateway/Commands.sol";
import {Committees} from "../contracts/gateway/Committees.sol";
import {Decryptions} from "../contracts/gateway/Decryptions.sol";
import {Evidence} from "../contracts/gateway/Evidence.sol";
import {Fees} from "../contracts/gateway/Fees.sol";
import {Keys} from "../contracts/gateway/Keys.sol";
import {OperatorQuorum} from "../contracts/gateway/OperatorQuorum.sol";
import {Permits} from "../contracts/gateway/Permits.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {GatewayMeter} from "./Meter.sol";

/// @dev Two of four operators have approved each of the calls before; what is measured is the third.
contract OperatorsGasTest is GatewayMeter {
    struct Call {
        address target;
        bytes data;
    }

    /// @dev A network that has not begun yet, and is paused.
    Registry private _fresh;
    mapping(string => Call) private _calls;

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        decide(address(registry), abi.encodeCall(Registry.publishConfiguration, (0, bytes32("c0"))));
        _fresh = new Registry(operators());
        decide(address(_fresh), abi.encodeCall(Registry.pause, ()));
        Registry.Contracts memory all = Registry.Contracts(address(keys), address(ciphertexts), address(decryptions));
        approved("Registry.begin", address(_fresh), abi.encodeCall(Registry.begin, (keccak256("network"))));
        approved("Registry.setContracts", address(_fresh), abi.encodeCall(Registry.setContracts, (all)));
        approved("Registry.resume", address(_fresh), abi.encodeCall(Registry.resume, ()));
        approved("Registry.pause", abi.encodeCall(Registry.pause, ()));
        approved("Registry.setOperators, 4", abi.encodeCall(Registry.setOperators, (operators())));
        approved("Registry.setCoprocessors, 3", abi.encodeCall(Registry.setCoprocessors, (coprocessors())));
        approved("Registry.publishConfiguration", abi.encodeCall(Registry.publishConfiguration, (1, keccak256("c1"))));
        approved("Registry.setHostChain", abi.encodeCall(Registry.setHostChain, (chain())));
        approved("Registry.proposeEpoch, (4,1)", proposal(1, 4, 1));
        approved("Registry.proposeEpoch, (13,4)", proposal(1, 13, 4));
        approved("Decryptions.setTerms", address(decryptions), abi.encodeCall(Decryptions.setTerms, (2 gwei, 500)));
        approved("Keys.request, key generation", address(keys), generation(1));
    }

    function coolAll() internal override {
        super.coolAll();
        vm.cool(address(_fresh));
    }

    function test_gas_begin() external {
        third("Registry.begin");
    }

    function test_gas_setContracts() external {
        third("Registry.setContracts");
    }

    function test_gas_resume() external {
        third("Registry.resume");
        isTrue(!_fresh.paused(), "resumed");
    }

    function test_gas_pause() external {
        third("Registry.pause");
        isTrue(registry.paused(), "paused");
    }

    function test_gas_setOperators() external {
        third("Registry.setOperators, 4");
    }

    function test_gas_setCoprocessors() external {
        third("Registry.setCoprocessors, 3");
    }

    function test_gas_publishConfiguration() external {
        third("Registry.publishConfiguration");
    }

    function test_gas_setHostChain() external {
        third("Registry.setHostChain");
    }

    function test_gas_proposeFour() external {
        third("Registry.proposeEpoch, (4,1)");
    }

    function test_gas_proposeThirteen() external {
        third("Registry.proposeEpoch, (13,4)");
    }

    function test_gas_setTerms() external {
        third("Decryptions.setTerms");
        equal(decryptions.feePerHandle(), 2 gwei, "set");
    }

    function test_gas_request() external {
        uint256 count = keys.commandCount();
        third("Keys.request, key generation");
        equal(keys.commandCount(), count + 1, "requested");
    }

    function test_gas_pauseFirst() external {
        first("Registry.pause", address(_fresh), abi.encodeCall(Registry.pause, ()));
    }

    function test_gas_proposeFirst() external {
        first("Registry.proposeEpoch, (4,1)", address(registry), proposal(2, 4, 1));
    }

    function test_gas_requestFirst() external {
        first("Keys.request, key generation", address(keys), generation(2));
    }

    function test_gas_withdrawApproval() external {
        bytes32 action = registry.actionOf(address(registry), keccak256(_calls["Registry.pause"].data));
        bytes memory call = abi.encodeCall(OperatorQuorum.withdrawApproval, (action));
        coldBy(operators()[0], "Registry.withdrawApproval", address(registry), call);
    }

    function approved(string memory name, bytes memory data) private {
        approved(name, address(registry), data);
    }

    function approved(string memory name, address target, bytes memory data) private {
        _calls[name] = Call(target, data);
        for (uint256 i; i < 2; ++i) {
            vm.prank(operators()[i]);
            (bool isDone,) = target.call(data);
            isTrue(isDone, name);
        }
    }

    function first(string memory name, address target, bytes memory data) private {
        coldBy(operators()[0], string.concat(name, ", first of 3 operators"), target, data);
    }

    function third(string memory name) private {
        Call memory call = _calls[name];
        coldBy(operators()[2], string.concat(name, ", third of 3 operators"), call.target, call.data);
    }

    function proposal(uint64 seed, uint8 n, uint8 t) private pure returns (bytes memory) {
        Committees.Node[] memory nodes = new Committees.Node[](n);
        for (uint8 i; i < n; ++i) nodes[i] = node(seed, i + 1);
        return abi.encodeCall(Committees.proposeEpoch, (1, t, nodes));
    }

    function chain() private pure returns (Registry.HostChain memory c) {
        c = hostChain(HOST + 1);
        c.verifier = address(uint160(uint256(keccak256("verifier"))));
        c.oracle = address(uint160(uint256(keccak256("oracle"))));
        c.accessControl = address(uint160(uint256(keccak256("access"))));
        c.compute = address(uint160(uint256(keccak256("compute"))));
        (c.verifierCodeHash, c.oracleCodeHash) = (keccak256("verifier"), keccak256("oracle"));
        (c.accessControlCodeHash, c.computeCodeHash) = (keccak256("access"), keccak256("compute"));
    }

    function generation(uint256 salt) private pure returns (bytes memory) {
        bytes32 random = keccak256(abi.encode("salt", salt));
        bytes memory payload = abi.encode(BFV_8192, uint8(0));
        return abi.encodeCall(Keys.request, (Commands.KEY_GENERATION, payload, 1 days, uint256(random)));
    }
}

contract FoundingGasTest is GatewayMeter {
    using Membership for *;

    function setUp() public {
        deployGateway();
        proposeEpoch(0, 4, 1);
        enrolAll(0, 3, 0, ALL);
    }

    function test_gas_enrol() external {
        Membership.NodeEnrolment memory e = enrolment(0, 4);
        bytes memory call = abi.encodeCall(Committees.enrol, (e, signed(domain, e.hash(), 0, THREE)));
        cold("Registry.enrol, epoch 0, last of 4 (activates)", address(registry), call);
        equal(registry.currentEpoch(), 0, "active");
    }
}

contract MembersGasTest is GatewayMeter {
    using Membership for *;
    using Results for *;

    Evidence private _evidence;

    function setUp() public {
        deployActiveGateway();
        _evidence = new Evidence(registry);
        proposeEpoch(1, 4, 1);
        enrolAll(1, 1, 0, THREE);
        (Membership.Anchor memory a, bytes memory signature) = state(2, 5);
        registry.anchor(2, a, signature);
    }

    function test_gas_enrol() external {
        Membership.NodeEnrolment memory e = enrolment(1, 2);
        bytes memory call = abi.encodeCall(Committees.enrol, (e, signed(domain, e.hash(), 0, THREE)));
        cold("Registry.enrol, later epoch, 3 of 4", address(registry), call);
    }

    function test_gas_anchor() external {
        (Membership.Anchor memory a, bytes memory signature) = state(1, 5);
        cold("Registry.anchor, a node's first", address(registry), abi.encodeCall(Registry.anchor, (1, a, signature)));
        (a, signature) = state(2, 6);
        cold("Registry.anchor, later", address(registry), abi.encodeCall(Registry.anchor, (2, a, signature)));
    }

    function test_gas_report() external {
        (Results.PublicDecryption memory a, bytes memory aSignature) = result(5);
        (Results.PublicDecryption memory b, bytes memory bSignature) = result(6);
        vm.cool(address(_evidence));
        bytes memory call = abi.encodeCall(Evidence.report, (a, aSignature, b, bSignature));
        cold("Evidence.report, 1 handle", address(_evidence), call);
        equal(_evidence.caught(0), 4, "caught");
    }

    function state(uint8 party, uint64 version) private view returns (Membership.Anchor memory a, bytes memory) {
        a = Membership.Anchor(node(0, party).identity, version, keccak256(abi.encode(version)), keccak256("audit"));
        return (a, signed(domain, a.hash(), 0, 1 << (party - 1)));
    }

    function result(uint64 value) private view returns (Results.PublicDecryption memory r, bytes memory) {
        (r.requestId, r.destinationChainId, r.verifier, r.consumer) = (5, HOST, hostChain(HOST).verifier, CONSUMER);
        (r.hostRequest, r.keyId, r.keyState) = (HOST_REQUEST, KEY, 2);
        (r.handles, r.result) = (one(keccak256("h")), abi.encodePacked(value));
        return (r, signed(domain, r.hash(), 0, 4));
    }
}

contract KeysGasTest is GatewayMeter {
    using Ceremonies for *;

    Commands.Command private _new;
    Commands.Command private _twice;

    function setUp() public {
        deployActiveGateway();
        _new = command(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)));
        _twice = command(Commands.KEY_GENERATION, abi.encode(BFV_8192, uint8(0)));
        for (uint8 party = 1; party <= 2; ++party) {
            (bool isDone,) = address(keys).call(response(_twice, party));
            isTrue(isDone, "response");
        }
    }

    function test_gas_respondFirst() external {
        cold("Keys.respond, key generation, first of 3", address(keys), response(_new, 1));
    }

    function test_gas_respondThird() external {
        cold("Keys.respond, key generation, third of 3 (activates)", address(keys), response(_twice, 3));
        equal(keys.phases(_twice.id), 2, "activated");
    }

    function test_gas_expire() external {
        vm.warp(_new.expiresAt + 1);
        cold("Keys.expire, key generation", address(keys), abi.encodeCall(Keys.expire, (_new)));
    }

    function response(Commands.Command memory c, uint8 party) private view returns (bytes memory) {
        Ceremonies.KeyGeneration memory s = Ceremonies.KeyGeneration(
            c.id, keccak256(abi.encode("key", c.id)), BFV_8192, c.epoch, keccak256("record")
        );
        bytes memory signature = signed(domain, s.hash(), 0, 1 << (party - 1));
        return abi.encodeCall(Keys.respond, (c, abi.encode(s), signature));
    }
}

abstract contract EpochChangeFixture is GatewayMeter {
    using Membership for *;

    Commands.Command private _change;

    function deployEpochChange() internal {
        deployActiveGateway();
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        _change = command(Commands.EPOCH_CHANGE, abi.encode(Commands.EpochChangePayload(1, one(KEY))));
    }

    /// @dev A party that holds everybody's packets and decoded everything.
    function response(uint8 party) internal view returns (bytes memory) {
        Membership.EpochChange memory s =
            Membership.EpochChange(_change.id, 0, 1, party, Commands.keysHash(one(KEY)), ALL, true);
        bytes memory signature = signed(domain, s.hash(), 1, 1 << (party - 1));
        return abi.encodeCall(Keys.respond, (_change, abi.encode(s), signature));
    }
}

contract EpochChangeGasTest is EpochChangeFixture {
    function setUp() public {
        deployEpochChange();
    }

    function test_gas_respondFirst() external {
        cold("Keys.respond, epoch change to (4,1), first of 3", address(keys), response(1));
    }
}

contract EpochActivationGasTest is EpochChangeFixture {
    function setUp() public {
        deployEpochChange();
        for (uint8 party = 1; party <= 2; ++party) {
            (bool isDone,) = address(keys).call(response(party));
            isTrue(isDone, "response");
        }
    }

    function test_gas_respondThird() external {
        cold("Keys.respond, epoch change to (4,1), third of 3 (activates)", address(keys), response(3));
        equal(registry.currentEpoch(), 1, "active");
    }
}

contract TransferGasTest is GatewayMeter {
    using Results for *;

    bytes32 private _handle;
    Requests.Request private _transfer;

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
        decide(address(registry), abi.encodeCall(Registry.setHostChain, (hostChain(HOST + 1))));
        _handle = committed(1, address(0xBEEF));
        _transfer = requestTransfer(_handle);
    }

    function test_gas_request() external {
        bytes memory call = abi.encodeCall(Decryptions.requestTransfer, (_handle, HOST, HOST + 1, CONSUMER, 600));
        coolAll();
        measured("Decryptions.requestTransfer", address(decryptions), FEE, call);
    }

    function test_gas_answer() external {
        Results.HandleTransfer memory s =
            Results.HandleTransfer(_transfer.id, _handle, HOST, HOST + 1, CONSUMER, KEY, 1, 3, 3920608, 0);
        bytes memory signatures = signed(domain, s.hash(), 0, THREE);
        bytes memory call = abi.encodeCall(Decryptions.answerTransfer, (_transfer, s, signatures));
        cold("Decryptions.answerTransfer, 3 of 4", address(decryptions), call);
    }

    function test_gas_expire() external {
        vm.warp(_transfer.expiresAt + 1);
        bytes memory call = abi.encodeCall(Decryptions.expire, (_transfer));
        cold("Decryptions.expire, 1 handle", address(decryptions), call);
    }
}

contract AnsweredGasTest is GatewayMeter {
    using Requests for Requests.Request;
    using Results for *;

    address private _user;
    Requests.Request private _request;

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
        _user = vm.addr(USER_SECRET);
        bytes32 handle = userHandle(1);
        Results.UserDecryptionRequest memory p = permitOf(_user, address(0));
        Requests.Request memory r = requestUser(handle, p, signPermit(p), 1);
        decryptions.answerUser(r, 0, THREE, shareDigests(3), signShares(r, 3));
        _request = r;
    }

    function test_gas_addUserShare() external {
        Requests.Request memory r = _request;
        Results.UserDecryptionShare memory s = r.share(0);
        (s.party, s.shareDigest) = (4, sha256("share 4"));
        bytes memory signature = signed(domain, s.hash(), 0, 8);
        bytes memory call = abi.encodeCall(Decryptions.addUserShare, (r, 0, 4, s.shareDigest, signature));
        cold("Decryptions.addUserShare", address(decryptions), call);
    }

    function test_gas_revokePermits() external {
        bytes memory call = abi.encodeCall(Permits.revokePermits, ());
        coldBy(_user, "Decryptions.revokePermits, a user's first", address(decryptions), call);
    }

    function test_gas_divide() external {
        bytes memory call = abi.encodeCall(Decryptions.divide, (0, THREE));
        cold("Decryptions.divide, among 3", address(decryptions), call);
    }
}

contract WithdrawalGasTest is GatewayMeter {
    bytes private constant RESULT = hex"0000000000000005";

    function setUp() public {
        deployActiveGateway();
        setTerms(1000);
        vm.deal(address(this), 1 ether);
        vm.deal(node(0, 1).sender, 1 ether);
        Requests.Request memory r = requestPublic(committed(1, address(0)), 0);
        decryptions.answerPublic(r, RESULT, 0, signResult(r, RESULT, THREE));
        decryptions.divide(0, THREE);
    }

    function test_gas_withdraw() external {
        address sender = node(0, 1).sender;
        equal(sender.balance, 1 ether, "a sender's account is warm");
        coldBy(sender, "Decryptions.withdraw", address(decryptions), abi.encodeCall(Fees.withdraw, ()));
        equal(sender.balance, 1 ether + FEE / 3, "paid");
    }
}
