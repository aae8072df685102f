import { encodeFunctionData, type Hex, hexToBytes, keccak256, parseAbi, toHex } from 'viem';
import { hashTypedData } from 'viem/utils';
import { describe, expect, test } from 'vitest';
import { decryptionsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import { permitIn } from '../../../../parent/connector/permit.ts';

const registry: Hex = `0x${'12'.repeat(20)}`;
const domain = { gatewayChainId: 5n, registry: hexToBytes(registry) };
const permit = {
  user: `0x${'a1'.repeat(20)}` as Hex,
  delegate: `0x${'00'.repeat(20)}` as Hex,
  publicKeyHash: keccak256(toHex('key')),
  hostChainId: 9n,
  context: `0x${'b2'.repeat(20)}` as Hex,
  validFrom: 1n,
  validUntil: 2n,
  nonce: 3n,
};
/** viem's own hash of typed data: what a wallet signs. */
const reference = hexToBytes(
  hashTypedData({
    domain: { name: 'Threshold KMS', version: '1', chainId: 5, verifyingContract: registry },
    primaryType: 'UserDecryptionRequest',
    types: {
      UserDecryptionRequest: [
        { name: 'user', type: 'address' },
        { name: 'delegate', type: 'address' },
        { name: 'publicKeyHash', type: 'bytes32' },
        { name: 'hostChainId', type: 'uint256' },
        { name: 'context', type: 'address' },
        { name: 'validFrom', type: 'uint64' },
        { name: 'validUntil', type: 'uint64' },
        { name: 'nonce', type: 'uint256' },
      ],
    },
    message: permit,
  }),
);
const handles = [keccak256(toHex('handle'))];
const callOf = (of: typeof permit): Hex =>
  encodeFunctionData({
    abi: decryptionsAbi,
    functionName: 'requestUser',
    args: [of, '0x1234', handles, 60n],
  });
const walletAbi = parseAbi(['function execute(address to, uint256 value, bytes[] calls)']);
const throughWallet = (calls: readonly Hex[]): Hex =>
  encodeFunctionData({ abi: walletAbi, functionName: 'execute', args: [registry, 0n, calls] });

describe('permits from calldata', () => {
  const expected = {
    ...permit,
    user: hexToBytes(permit.user),
    delegate: new Uint8Array(20),
    publicKeyHash: hexToBytes(permit.publicKeyHash),
    context: hexToBytes(permit.context),
  };

  test('permit: of a call, and of a call within a wallet’s', () => {
    expect(permitIn(callOf(permit), reference, domain)).toEqual(expected);
    const other = { ...permit, nonce: 4n };
    expect(permitIn(throughWallet([callOf(other), callOf(permit)]), reference, domain)).toEqual(expected);
  });

  test('permit: another one than the request’s is none', () => {
    for (const change of [{ nonce: 4n }, { validUntil: 3n }, { user: registry }, { hostChainId: 1n }]) {
      expect(permitIn(callOf({ ...permit, ...change }), reference, domain)).toBeUndefined();
    }
    expect(permitIn(callOf(permit), reference, { ...domain, gatewayChainId: 6n })).toBeUndefined();
  });

  test('permit: calldata that is cut off, shifted by half a byte or only begins like it holds none', () => {
    const call = callOf(permit);
    expect(permitIn(call.slice(0, 2 + 8 + 511) as Hex, reference, domain)).toBeUndefined();
    expect(permitIn(`0x0${call.slice(2)}0` as Hex, reference, domain)).toBeUndefined();
    const selector = call.slice(0, 10);
    expect(permitIn(`${selector}${'ff'.repeat(256)}` as Hex, reference, domain)).toBeUndefined();
    expect(permitIn('0x', reference, domain)).toBeUndefined();
    // What only begins like it does not hide the one behind it.
    expect(permitIn(`${selector}${'ff'.repeat(40)}${call.slice(2)}` as Hex, reference, domain)).toEqual(
      expected,
    );
  });
});
