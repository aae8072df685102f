import type { Abi } from 'viem';
import { beforeEach, describe, expect, test } from 'vitest';
import { carryOut } from '../../../../client/gateway/commands.ts';
import type { GatewayContext } from '../../../../client/gateway/context.ts';
import { generateKey } from '../../../../client/gateway/key-generation.ts';
import { walletOf } from '../../../../client/gateway/wallet.ts';
import { keysAbi, registryAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import { type Hex, hexOf } from '../../../../gateway/adapter/chain-data.ts';
import { commandCommitment } from '../../../../shared/gateway/commitments.ts';
import { word } from '../../../../shared/gateway/word.ts';
import { concat, toHex } from '../../../../shared/wire/bytes.ts';
import { four } from './played-gateway.ts';
import { ScriptedChain } from './scripted-chain.ts';

/** Operators' commands on a chain whose contracts say what a test wants. */

const REGISTRY: Hex = `0x${'0a'.repeat(20)}`;
const KEYS: Hex = `0x${'0b'.repeat(20)}`;
const ACTION: Hex = `0x${'0c'.repeat(32)}`;
const KEY = new Uint8Array(32).fill(0x77);
const operators = [1, 2, 3, 4].map((i) => walletOf(new Uint8Array(32).fill(i)));
const QUORUM = 3;

let chain: ScriptedChain;
let approvals: bigint;
let count: bigint;
let phase: number;
/** What the chain says was commanded. */
let shown: (payload: Hex, kind: number) => { readonly payload: Hex; readonly kind: number };
let commanded: { readonly kind: number; readonly payload: Hex }[];

beforeEach(() => {
  [approvals, count, phase, commanded] = [0n, 0n, 2, []];
  shown = (payload, kind) => ({ payload, kind });
  chain = new ScriptedChain(31337n);
  chain.contracts.set(REGISTRY, {
    abi: registryAbi as Abi,
    views: {
      actionOf: () => ACTION,
      operatorSet: () => ({ version: 1, count: 4, quorum: QUORUM }),
      operatorIndex: (account: Hex) =>
        operators.findIndex(({ address }) => address === account.toLowerCase()) + 1,
      approvalsOf: () => approvals,
    } as never,
  });
  chain.contracts.set(KEYS, {
    abi: keysAbi as Abi,
    views: {
      commandCount: () => count,
      phases: () => phase,
      responses: () => `0x${'00'.repeat(32)}`,
      activeKeys: () => `0x${'00'.repeat(32)}`,
    },
    onCall(_, [kind, payload]) {
      const size = approvals.toString(2).replaceAll('0', '').length;
      if (size + 1 < QUORUM) {
        approvals = (approvals << 1n) | 1n;
        return;
      }
      [approvals, count] = [0n, count + 1n];
      const said = shown(payload as Hex, kind as number);
      commanded.push(said);
      const command = { id: count, ...said, epoch: 0n, requestedAt: 1n, expiresAt: 2n };
      chain.emit(REGISTRY, 'ActionCarriedOut', { action: ACTION });
      chain.emit(KEYS, 'CommandRequested', { id: count, kind: said.kind, command });
      const statement = hexOf(concat(word(count), KEY, word(1n), word(0n), word(9n)));
      chain.emit(KEYS, 'CommandActivated', { id: count, kind: said.kind, statement });
    },
  });
});

function context(more: object = {}): GatewayContext {
  const of = chain.chain;
  return {
    gateway: {
      chain: of,
      registry: { chain: of, address: REGISTRY, abi: registryAbi },
      keys: { chain: of, address: KEYS, abi: keysAbi },
    },
    kms: { network: { committee: four }, ...more },
    places: { hosts: [] },
    waiting: { timeoutMs: 3_000, pollMs: 10, onProgress: () => {} },
  } as unknown as GatewayContext;
}

const wanted = { kind: 1, payload: concat(word(1n), word(0n)), what: 'generate a key' };

describe('commands', () => {
  test('carryOut: the quorum approves, and nobody after it', async () => {
    const { command, statement } = await carryOut(context(), operators, wanted);
    expect(command).toMatchObject({ id: 1n, kind: 1, payload: wanted.payload });
    expect(statement.subarray(32, 64)).toEqual(KEY);
    expect(await chain.chain.nonce(operators[0]!.address, 'latest')).toBe(QUORUM);
  });

  test('carryOut: who approved before an interruption does not do so again', async () => {
    approvals = 0b11n;
    await carryOut(context(), operators, wanted);
    expect(await chain.chain.nonce(operators[0]!.address, 'latest')).toBe(1);
  });

  test('carryOut: too few operators wait, in time; a stranger is refused before anything is sent', async () => {
    await expect(carryOut(context(), operators.slice(0, 2), wanted)).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', message: expect.stringContaining('approvals of more operators') },
    });
    const stranger = [walletOf(new Uint8Array(32).fill(9))];
    await expect(carryOut(context(), stranger, wanted)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
  });

  test('carryOut: a command of another payload or kind than was approved is not believed', async () => {
    shown = (_, kind) => ({ kind, payload: hexOf(concat(word(2n), word(0n))) });
    await expect(carryOut(context(), operators, wanted)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
    shown = (payload) => ({ payload, kind: 5 });
    await expect(carryOut(context(), operators, wanted)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  test('carryOut: an expired command ends the waiting, one under way does not', async () => {
    phase = 3;
    await expect(carryOut(context(), operators, wanted)).rejects.toMatchObject({ code: 'REQUEST_OVER' });
    phase = 1;
    await expect(carryOut(context(), operators, wanted)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('carryOut: a transaction that is never mined is given up, and the error says where', async () => {
    chain.isStuck = true;
    const stuck = carryOut(context(), operators, wanted);
    await expect(stuck).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', message: expect.stringContaining('in a transaction on chain 31337') },
    });
  });

  test.each<[string, object, string]>([
    ['this command', {}, 'none'],
    ['another command', { request: '99'.repeat(32) }, 'WRONG_KEY'],
    ['another preset', { preset: 'bfv-8192' }, 'WRONG_KEY'],
    ['other Galois keys', { galois: 'all' }, 'WRONG_KEY'],
  ])('generateKey: the record that nodes certified for %s', async (_, change, code) => {
    const getKey = async (id: string) => {
      const [{ kind, payload }] = commanded as [{ kind: number; payload: Hex }];
      const bytes = Uint8Array.from(Buffer.from(payload.slice(2), 'hex'));
      const command = { id: 1n, kind, payload: bytes, epoch: 0n, requestedAt: 1n, expiresAt: 2n };
      const request = toHex(commandCommitment(command));
      return { id, record: { request: { request, preset: 'test-4096', galois: 'none', ...change } } };
    };
    const made = generateKey(context({ getKey }), { operators, preset: 'test-4096', galois: 'none' });
    if (code !== 'none') await expect(made).rejects.toMatchObject({ code });
    else {
      expect(await made).toMatchObject({ id: toHex(KEY) });
      expect(commanded.map(({ kind }) => kind)).toEqual([1, 5]);
    }
  });

  test('generateKey: of a preset that has an active key nothing is commanded', async () => {
    const { abi, views, ...rest } = chain.contracts.get(KEYS)!;
    chain.contracts.set(KEYS, { ...rest, abi, views: { ...views, activeKeys: () => hexOf(KEY) } });
    const made = generateKey(context(), { operators, preset: 'test-4096', galois: 'none' });
    await expect(made).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(toHex(KEY)),
    });
    expect(commanded).toEqual([]);
  });
});
