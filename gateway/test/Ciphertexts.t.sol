// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NoiseBound} from "../contracts/common/NoiseBound.sol";
import {Ciphertexts} from "../contracts/gateway/Ciphertexts.sol";
import {Registry} from "../contracts/gateway/Registry.sol";
import {GatewayFixture} from "./GatewayFixture.sol";

contract CiphertextsTest is GatewayFixture {
    function setUp() public {
        deployActiveGateway();
    }

    function test_twoOfThreeCommit() external {
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        commit(c, 0);
        commit(c, 0);
        equal(ciphertexts.commitments(c.handle), 0, "one coprocessor, twice");
        commit(c, 2);
        equal(ciphertexts.commitments(c.handle), keccak256(abi.encode(c)), "two");
        commit(c, 1);
    }

    function test_othersCommitNothing() external {
        vm.prank(operators()[0]);
        vm.expectRevert(abi.encodeWithSelector(Ciphertexts.NotACoprocessor.selector, operators()[0]));
        ciphertexts.commit(new Ciphertexts.Ciphertext[](0), new Ciphertexts.Access[](0));
    }

    function test_aLyingMinorityIsRecordedAndDecidesNothing() external {
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        Ciphertexts.Ciphertext memory lie = ciphertext(1);
        lie.digest = keccak256("another ciphertext");
        commit(lie, 1);
        commit(c, 0);
        equal(ciphertexts.conflicts(c.handle), keccak256(abi.encode(c)), "evidence");
        equal(ciphertexts.commitments(c.handle), 0, "one against one");
        commit(c, 2);
        equal(ciphertexts.commitments(c.handle), keccak256(abi.encode(c)), "the majority's");
        // Whoever lied cannot vote again, and a committed digest is never replaced.
        commit(c, 1);
        commit(lie, 0);
        commit(lie, 2);
        equal(ciphertexts.commitments(c.handle), keccak256(abi.encode(c)), "stays");
    }

    function test_oneOfFourIsNoStrictMajority() external {
        address[] memory four = new address[](4);
        for (uint160 i; i < 4; ++i) four[i] = address(0x0C00 + i);
        decide(address(registry), abi.encodeCall(Registry.setCoprocessors, (four)));
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        commit(c, 0);
        commit(c, 1);
        equal(ciphertexts.commitments(c.handle), 0, "two of four");
        commit(c, 2);
        isTrue(ciphertexts.commitments(c.handle) != 0, "three of four");
    }

    function test_votesOfARetiredSetDoNotCount() external {
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        commit(c, 0);
        address[] memory others = new address[](3);
        for (uint160 i; i < 3; ++i) others[i] = address(0x0C00 + i + 1);
        decide(address(registry), abi.encodeCall(Registry.setCoprocessors, (others)));
        commit(c, 1);
        equal(ciphertexts.commitments(c.handle), 0, "one of the new set");
    }

    function test_noCiphertextBeyondTheCeiling() external {
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        c.bound = (uint256(8192) - 7132) * 4503599627124737;
        commit(c, 0);
        ++c.bound;
        expectRefusal(c, NoiseBound.TooNoisy.selector);
        c = ciphertext(2);
        c.level = 1;
        expectRefusal(c, NoiseBound.NotDecryptable.selector);
    }

    function test_theHandleIsTheOneOfItsProvenanceKindAndKey() external {
        Ciphertexts.Ciphertext memory c = ciphertext(1);
        c.provenance = keccak256("stolen");
        expectRefusal(c, Ciphertexts.BadCiphertext.selector);
        c = ciphertext(1);
        c.kind = 2;
        expectRefusal(c, Ciphertexts.BadCiphertext.selector);
        c = ciphertext(1);
        c.keyId = keccak256("no key");
        expectRefusal(c, Ciphertexts.BadCiphertext.selector);
        c = ciphertext(1);
        c.digest = 0;
        expectRefusal(c, Ciphertexts.BadCiphertext.selector);
    }

    function test_accessIsMirroredForwardOnly() external {
        bytes32 handle = ciphertext(1).handle;
        mirror(handle, address(7), 1, true, 0);
        isTrue(!ciphertexts.isAllowed(handle, HOST, address(7)), "one");
        mirror(handle, address(7), 1, true, 1);
        isTrue(ciphertexts.isAllowed(handle, HOST, address(7)), "two");
        isTrue(!ciphertexts.isAllowed(handle, HOST + 1, address(7)), "another chain");
        isTrue(!ciphertexts.isAllowed(handle, HOST, address(8)), "another account");
        for (uint256 i; i < 2; ++i) mirror(handle, address(7), 2, false, i);
        isTrue(!ciphertexts.isAllowed(handle, HOST, address(7)), "revoked");
        mirror(handle, address(7), 1, true, 2);
        isTrue(!ciphertexts.isAllowed(handle, HOST, address(7)), "an old grant revives nothing");
    }

    function testFuzz_aMinorityNeverCommits(uint8 liar, bytes32 digest, uint8 times) external {
        Ciphertexts.Ciphertext memory c = ciphertext(3);
        vm.assume(digest != 0);
        for (uint256 i; i < uint256(times) % 8 + 1; ++i) {
            c.digest = keccak256(abi.encode(digest, i));
            commit(c, liar % 3);
            equal(ciphertexts.commitments(c.handle), 0, "one coprocessor alone");
        }
    }

    function expectRefusal(Ciphertexts.Ciphertext memory c, bytes4 selector) private {
        Ciphertexts.Ciphertext[] memory list = new Ciphertexts.Ciphertext[](1);
        list[0] = c;
        vm.prank(coprocessors()[1]);
        vm.expectPartialRevert(selector);
        ciphertexts.commit(list, new Ciphertexts.Access[](0));
    }
}
