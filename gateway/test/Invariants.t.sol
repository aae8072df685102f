// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NoiseBound} from "../contracts/common/NoiseBound.sol";
import {Compute} from "../contracts/host/Compute.sol";
import {Requests} from "../contracts/gateway/Requests.sol";
import {HostFixture} from "./HostFixture.sol";
import {RequestFixture} from "./RequestFixture.sol";

/// @title Whatever is computed, in whatever order
contract ComputeInvariants is HostFixture {
    bytes32[] internal handles;
    uint256 internal refusals;

    function setUp() public {
        deployHost();
        for (uint256 i; i < 3; ++i) handles.push(input(i));
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(this);
    }

    function operate(uint8 operation, uint256 a, uint256 b, uint256 plain) external {
        bytes32 x = handles[a % handles.length];
        bytes32 y = handles[b % handles.length];
        bytes memory call = abi.encodeCall(Compute.add, (x, y));
        operation = operation % 7;
        if (operation == 1) call = abi.encodeCall(Compute.sub, (x, y));
        if (operation == 2) call = abi.encodeCall(Compute.mul, (x, y));
        if (operation == 3) call = abi.encodeCall(Compute.addPlain, (x, plain % 1032193));
        if (operation == 4) call = abi.encodeCall(Compute.mulPlain, (x, plain % 1032193));
        if (operation == 5) call = abi.encodeCall(Compute.negate, (x));
        if (operation == 6) call = abi.encodeCall(Compute.switchDown, (x));
        (bool isDone, bytes memory result) = address(compute).call(call);
        if (isDone) handles.push(abi.decode(result, (bytes32)));
        else ++refusals;
    }

    function invariant_everyHandleCanBeDecrypted() external view {
        for (uint256 i; i < handles.length; ++i) {
            Compute.Operand memory x = compute.operandOf(handles[i]);
            NoiseBound.checkDecryptable(x.preset, x.bound, x.level);
        }
    }

    function invariant_everyHandleIsItsMakers() external view {
        for (uint256 i; i < handles.length; ++i) {
            equal(accessControl.ownerOf(handles[i]), address(this), "owner");
            isTrue(!accessControl.isAllowed(handles[i], address(0xBAD)), "nobody else");
            for (uint256 j; j < i; ++j) isTrue(handles[i] != handles[j], "one name each");
        }
    }
}

/// @title Whoever pays, answers, expires, divides or withdraws, in whatever order
contract FeeInvariants is RequestFixture {
    Requests.Request[] internal open;
    uint256 internal openFees;
    uint256 internal answered;
    bytes32 internal handle;
    uint256[3] internal sets = [uint256(7), 11, 15];

    function setUp() public {
        deployActiveGateway();
        setTerms(type(uint64).max);
        vm.deal(address(this), 1 ether);
        handle = committed(1, address(0));
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(this);
    }

    function ask() external {
        open.push(requestPublic(handle, 0));
        openFees += FEE;
    }

    function answer(uint256 which, uint256 by) external {
        if (open.length == 0) return;
        Requests.Request memory r = open[which % open.length];
        bytes memory signatures = signResult(r, "result", sets[by % 3]);
        bool wasOpen = decryptions.answers(r.id) == 0;
        try decryptions.answerPublic(r, "result", 0, signatures) {
            isTrue(wasOpen, "answered once");
            openFees -= FEE;
            ++answered;
        } catch {}
    }

    function expire(uint256 which, uint16 later) external {
        vm.warp(block.timestamp + later % 400);
        if (open.length == 0) return;
        Requests.Request memory r = open[which % open.length];
        bool wasOpen = decryptions.answers(r.id) == 0;
        try decryptions.expire(r) {
            isTrue(wasOpen, "refunded once");
            openFees -= FEE;
        } catch {}
    }

    function divide(uint256 by) external {
        decryptions.divide(0, sets[by % 3]);
    }

    function withdraw(uint8 party) external {
        address account = party % 5 == 0 ? address(this) : node(0, party % 5).sender;
        vm.prank(account);
        decryptions.withdraw();
    }

    function invariant_everyWeiIsSomebodys() external view {
        uint256 total = openFees + decryptions.owed(address(this));
        for (uint256 i; i < 3; ++i) total += decryptions.pots(0, sets[i]);
        for (uint8 party = 1; party <= 4; ++party) total += decryptions.owed(node(0, party).sender);
        equal(address(decryptions).balance, total, "balance");
    }
}
