import type { Abi } from 'viem';
import { beforeEach, describe, expect, test } from 'vitest';
import type { GatewayContext } from '../../../../client/gateway/context.ts';
import { answered, lifetimeOf } from '../../../../client/gateway/decryption.ts';
import { compute } from '../../../../client/gateway/handles.ts';
import { walletOf } from '../../../../client/gateway/wallet.ts';
import { ciphertextsAbi, decryptionsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import { computeAbi } from '../../../../gateway/adapter/abi/host.ts';
import { bytesOf, type Hex, hexOf } from '../../../../gateway/adapter/chain-data.ts';
import { type Derivation, handleOf, operations, provenanceOf } from '../../../../shared/gateway/handle.ts';
import { word } from '../../../../shared/gateway/word.ts';
import { ScriptedChain } from './scripted-chain.ts';

/** What a chain says was derived, against what was asked. */

const COMPUTE: Hex = `0x${'0d'.repeat(20)}`;
const CIPHERTEXTS: Hex = `0x${'0e'.repeat(20)}`;
const DECRYPTIONS: Hex = `0x${'0f'.repeat(20)}`;
const account = walletOf(new Uint8Array(32).fill(1));
const [A, B]: readonly Hex[] = ['aa', 'bb'].map((byte): Hex => `0x${byte.repeat(24)}0000000000070101`);
const sum = { operation: 'add', a: A!, b: B! } as const;
const plain = { operation: 'addPlain', a: A!, value: 3n } as const;

const derivation: Derivation = {
  ...{ operation: operations.add, inputs: [bytesOf(A!), bytesOf(B!)], argument: new Uint8Array(32) },
  ...{ keyId: new Uint8Array(32).fill(3), kind: 'scalar', level: 3, bound: 9n, chainId: 7n, nonce: 1n },
  compute: bytesOf(COMPUTE),
};

let chain: ScriptedChain;
let said: Derivation;
let isCommitted: boolean;
let answer: Hex;

beforeEach(() => {
  [said, isCommitted, answer] = [derivation, true, `0x${'00'.repeat(32)}`];
  chain = new ScriptedChain(7n);
  chain.contracts.set(COMPUTE, {
    ...{ abi: computeAbi as Abi, views: {} },
    onCall() {
      const emitted = {
        ...said,
        ...{ inputs: said.inputs.map(hexOf), argument: hexOf(said.argument), keyId: hexOf(said.keyId) },
        ...{ kind: 1, compute: hexOf(said.compute) },
      };
      const named = { handle: hexOf(handleOf(said)), provenance: hexOf(provenanceOf(said)) };
      chain.emit(COMPUTE, 'Computed', { ...named, caller: account.address, derivation: emitted });
    },
  });
  chain.contracts.set(CIPHERTEXTS, {
    abi: ciphertextsAbi as Abi,
    views: { commitments: () => `0x${(isCommitted ? '01' : '00').repeat(32)}` },
  });
  chain.contracts.set(DECRYPTIONS, { abi: decryptionsAbi as Abi, views: { answers: () => answer } });
});

function context(timeoutMs = 300): GatewayContext {
  const of = chain.chain;
  return {
    gateway: {
      ciphertexts: { chain: of, address: CIPHERTEXTS, abi: ciphertextsAbi },
      decryptions: { chain: of, address: DECRYPTIONS, abi: decryptionsAbi },
    },
    host: async () => ({ chain: of, compute: { chain: of, address: COMPUTE, abi: computeAbi } }),
    waiting: { timeoutMs, pollMs: 10, onProgress: () => {} },
  } as unknown as GatewayContext;
}

describe('handles', () => {
  test('compute: the handle that is derived from what was asked', async () => {
    expect(await compute(context(), sum, { account })).toBe(hexOf(handleOf(derivation)));
    said = { ...derivation, operation: operations.addPlain, inputs: [bytesOf(A!)], argument: word(3n) };
    expect(await compute(context(), plain, { account })).toBe(hexOf(handleOf(said)));
  });

  test.each<[string, Partial<Derivation>]>([
    ['of another operation', { operation: operations.sub }],
    ['of its operands in another order', { inputs: [bytesOf(B!), bytesOf(A!)] }],
    ['of another operand', { inputs: [bytesOf(A!), bytesOf(A!)] }],
    ['with an argument', { argument: word(3n) }],
  ])('compute: a genuine handle %s is not believed', async (_, change) => {
    said = { ...derivation, ...change };
    await expect(compute(context(), sum, { account })).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  test('compute: another plain number, or an operand too many, is not what was asked', async () => {
    const right = {
      ...derivation,
      operation: operations.addPlain,
      inputs: [bytesOf(A!)],
      argument: word(3n),
    };
    said = { ...right, argument: word(4n) };
    await expect(compute(context(), plain, { account })).rejects.toMatchObject({ code: 'NOT_PROVEN' });
    said = { ...right, inputs: [bytesOf(A!), bytesOf(B!)] };
    await expect(compute(context(), plain, { account })).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  test.each<[string, Partial<Derivation>]>([
    ['chain', { chainId: 8n }],
    ['contract', { compute: new Uint8Array(20) }],
  ])('compute: a handle of another %s is none', async (_, change) => {
    said = { ...derivation, ...change };
    await expect(compute(context(), sum, { account })).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });

  test('compute: without coprocessors it is waited for in vain, and the error says so', async () => {
    isCommitted = false;
    await expect(compute(context(), sum, { account })).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', message: expect.stringContaining('coprocessors commit the handle') },
    });
  });
});

describe('answers', () => {
  test('answered: open ones are waited for, expired ones end it', async () => {
    await expect(answered(context(100), 5n)).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', message: expect.stringContaining('request 5') },
    });
    answer = hexOf(word(1n));
    await expect(answered(context(), 5n)).rejects.toMatchObject({ code: 'REQUEST_OVER' });
    answer = `0x${'77'.repeat(32)}`;
    expect(await answered(context(), 5n)).toBe(answer);
  });

  test('lifetimeOf: as long as it is waited for, within what contracts take', () => {
    expect([1, 90_500, 1e12].map((timeoutMs) => lifetimeOf(context(timeoutMs)))).toEqual([
      ...[30n, 91n, 604_800n],
    ]);
  });
});
