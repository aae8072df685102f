// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Membership} from "../contracts/common/Membership.sol";
import {Quorum} from "../contracts/common/Quorum.sol";
import {Committees} from "../contracts/gateway/Committees.sol";
import {OperatorQuorum} from "../contracts/gateway/OperatorQuorum.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

contract RegistryTest is GatewayFixture {
    using Membership for *;

    function setUp() public {
        deployGateway();
    }

    function test_operatorsDecideByQuorumOnly() external {
        for (uint256 i; i < 2; ++i) {
            vm.prank(operators()[i]);
            registry.pause();
            isTrue(!registry.paused(), "too early");
        }
        vm.prank(operators()[1]);
        vm.expectRevert(abi.encodeWithSelector(OperatorQuorum.AlreadyApproved.selector, operators()[1]));
        registry.pause();
        vm.prank(operators()[3]);
        registry.pause();
        isTrue(registry.paused(), "quorum");
    }

    function test_othersDecideNothing() external {
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(OperatorQuorum.NotAnOperator.selector, address(0xBAD)));
        registry.pause();
    }

    function test_approvalsAreOfOneCallAndCanBeWithdrawn() external {
        vm.prank(operators()[0]);
        registry.publishConfiguration(0, bytes32(uint256(1)));
        vm.prank(operators()[1]);
        registry.publishConfiguration(0, bytes32(uint256(2)));
        vm.prank(operators()[2]);
        registry.publishConfiguration(0, bytes32(uint256(2)));
        equal(registry.configurations(0), 0, "different calls do not add up");
        bytes32 action = registry.actionOf(
            address(registry), keccak256(abi.encodeCall(Registry.publishConfiguration, (0, bytes32(uint256(2)))))
        );
        vm.prank(operators()[1]);
        registry.withdrawApproval(action);
        vm.prank(operators()[3]);
        registry.publishConfiguration(0, bytes32(uint256(2)));
        equal(registry.configurations(0), 0, "withdrawn");
        vm.prank(operators()[0]);
        registry.publishConfiguration(0, bytes32(uint256(2)));
        equal(registry.configurations(0), bytes32(uint256(2)), "published");
    }

    function test_approvalsEndWithTheOperators() external {
        for (uint256 i; i < 2; ++i) {
            vm.prank(operators()[i]);
            registry.pause();
        }
        decide(address(registry), abi.encodeCall(Registry.setOperators, (operators())));
        vm.prank(operators()[3]);
        registry.pause();
        isTrue(!registry.paused(), "approvals of the old set are void");
    }

    function test_configurationsHaveNoGapAndStay() external {
        decide(address(registry), abi.encodeCall(Registry.publishConfiguration, (0, bytes32("c0"))));
        bytes memory skip = abi.encodeCall(Registry.publishConfiguration, (2, bytes32("c2")));
        bytes memory again = abi.encodeCall(Registry.publishConfiguration, (0, bytes32("other")));
        expectRefusal(skip, Registry.WrongConfiguration.selector);
        expectRefusal(again, Registry.WrongConfiguration.selector);
        decide(address(registry), abi.encodeCall(Registry.publishConfiguration, (1, bytes32("c1"))));
    }

    function test_networkAndContractsAreSetOnce() external {
        Registry.Contracts memory others = Registry.Contracts(address(1), address(2), address(3));
        expectRefusal(abi.encodeCall(Registry.begin, (bytes32("other"))), Registry.AlreadySet.selector);
        expectRefusal(abi.encodeCall(Registry.setContracts, (others)), Registry.AlreadySet.selector);
    }

    function test_contractsAreKnownByTheirCode() external view {
        (address a, address b, address c) = (address(keys), address(ciphertexts), address(decryptions));
        bytes32 expected = keccak256(abi.encode(a, b, c, keccak256(a.code), keccak256(b.code), keccak256(c.code)));
        equal(registry.contractsHash(), expected, "contracts hash");
    }

    function test_epoch0NeedsEverybodysSignatures() external {
        proposeEpoch(0, 4, 1);
        Membership.NodeEnrolment memory e = enrolment(0, 1);
        bytes memory two = signed(domain, e.hash(), 0, 6);
        vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        registry.enrol(e, two);
        // The enrolled one's own signature does not count.
        bytes memory own = signed(domain, e.hash(), 0, 7);
        vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        registry.enrol(e, own);
        registry.enrol(e, signed(domain, e.hash(), 0, 14));
        equal(registry.currentEpoch(), type(uint64).max, "not yet");
        for (uint8 party = 2; party <= 4; ++party) {
            e = enrolment(0, party);
            registry.enrol(e, signed(domain, e.hash(), 0, ALL));
        }
        equal(registry.currentEpoch(), 0, "active");
    }

    function test_enrolmentIsOfTheProposedMember() external {
        proposeEpoch(0, 4, 1);
        Membership.NodeEnrolment memory e = enrolment(0, 1);
        e.identity = keccak256("somebody else");
        bytes memory all = signed(domain, e.hash(), 0, ALL);
        vm.expectRevert(abi.encodeWithSelector(Committees.NotTheMember.selector, 1));
        registry.enrol(e, all);
        e = enrolment(0, 1);
        bytes memory other = signed(domain, enrolment(0, 2).hash(), 0, ALL);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        registry.enrol(e, other);
    }

    function test_laterEpochsAreEnrolledByTheActiveCommittee() external {
        beginEpoch0();
        proposeEpoch(1, 4, 1);
        Membership.NodeEnrolment memory e = enrolment(1, 1);
        bytes memory byThemselves = signed(domain, e.hash(), 1, ALL);
        vm.expectPartialRevert(Quorum.NotASigner.selector);
        registry.enrol(e, byThemselves);
        bytes memory two = signed(domain, e.hash(), 0, 3);
        vm.expectPartialRevert(Quorum.NotEnoughSigners.selector);
        registry.enrol(e, two);
        registry.enrol(e, signed(domain, e.hash(), 0, THREE));
    }

    function test_nobodyActivatesAnEpochButTheKeys() external {
        beginEpoch0();
        proposeEpoch(1, 4, 1);
        enrolAll(1, 4, 0, THREE);
        vm.expectRevert(abi.encodeWithSelector(Registry.NotTheKeys.selector, address(this)));
        registry.activateEpoch(1);
    }

    function test_aNewProposalForgetsTheOldOne() external {
        beginEpoch0();
        proposeEpoch(1, 7, 2);
        enrolAll(1, 7, 0, THREE);
        isTrue(registry.isComplete(1), "complete");
        proposeEpoch(1, 4, 1);
        isTrue(!registry.isComplete(1), "enrolments are gone");
        equal(registry.signerOf(1, 7), address(0), "members are gone");
        equal(registry.partyOfSigner(1, vm.addr(secretOf(1, 7))), 0, "signers are gone");
    }

    function test_anchorsOnlyGoForward() external {
        beginEpoch0();
        Membership.Anchor memory a = Membership.Anchor(node(0, 2).identity, 5, keccak256("state"), keccak256("audit"));
        registry.anchor(2, a, signed(domain, a.hash(), 0, 2));
        equal(registry.anchorVersions(a.identity), 5, "version");
        a.version = 4;
        bytes memory older = signed(domain, a.hash(), 0, 2);
        vm.expectRevert(abi.encodeWithSelector(Registry.AnchorBehind.selector, 4, 5));
        registry.anchor(2, a, older);
        a.version = 6;
        bytes memory byAnother = signed(domain, a.hash(), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(Committees.NotTheMember.selector, 2));
        registry.anchor(2, a, byAnother);
    }

    function test_twoCoprocessorsAreTooFew() external {
        address[] memory two = new address[](2);
        (two[0], two[1]) = (address(1), address(2));
        expectRefusal(abi.encodeCall(Registry.setCoprocessors, (two)), Registry.BadCoprocessors.selector);
    }

    function test_onlyTheNetworksContractsCountApprovals() external {
        vm.expectRevert(abi.encodeWithSelector(Registry.NotAContractOfThis.selector, address(this)));
        registry.approve(operators()[0], bytes32(uint256(1)));
    }

    function expectRefusal(bytes memory call, bytes4 selector) private {
        for (uint256 i; i < 2; ++i) {
            vm.prank(operators()[i]);
            (bool isTaken,) = address(registry).call(call);
            isTrue(isTaken, "approval");
        }
        vm.prank(operators()[2]);
        (bool isDone, bytes memory reason) = address(registry).call(call);
        isTrue(!isDone, "refused");
        equal(bytes4(reason), selector, "reason");
    }
}
