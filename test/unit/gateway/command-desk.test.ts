import { encodeAbiParameters, hashTypedData, recoverAddress, type TypedDataParameter } from 'viem';
import { describe, expect, test } from 'vitest';
import type { KeyProgress } from '../../../enclave/ceremonies.ts';
import { CommandDesk, type CommandProgress } from '../../../enclave/gateway/command-desk.ts';
import { KeyStates } from '../../../enclave/gateway/key-states.ts';
import { SaidStatements } from '../../../enclave/gateway/said-statements.ts';
import { KmsError } from '../../../shared/errors.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { commandCommitment, type GatewayCommand } from '../../../shared/gateway/commitments.ts';
import { keyStates } from '../../../shared/gateway/key-state.ts';
import type { Claim, Permission } from '../../../shared/gateway/policy/claim.ts';
import type { CommandOperation } from '../../../shared/gateway/policy/command.ts';
import { type Field, type TypedName, typedData } from '../../../shared/gateway/typed-data.ts';
import { type Digest, digest, type KeyId, keyId } from '../../../shared/ids.ts';
import type { KeyRequest } from '../../../shared/protocol/keygen/request.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { viemValue } from '../../vectors/gateway/typed-samples.ts';
import { domain, EPOCH, hex, KEY, resultSigner, signerOf, some, viemDomain } from './desk-fixture.ts';

const never = new AbortController().signal;
const nothing = new Uint8Array(0);
const OTHER: KeyId = keyId(toHex(some('another key')));
const recordDigest = (key: KeyId): Digest => digest(toHex(some(`record of ${key}`)));

const command: GatewayCommand = {
  ...{ id: 9n, kind: 5, epoch: EPOCH, payload: some('payload'), requestedAt: 1n, expiresAt: 2_000_000_000n },
};
const generation: CommandOperation = {
  ...{ kind: 'keyGeneration', preset: presetByName('test-4096'), galois: 'sum' },
  statement: { commandId: 9n, preset: 1, epoch: EPOCH },
};
const move = (fromState: number, toState: number): CommandOperation => ({
  kind: 'lifecycle',
  statement: { commandId: 9n, keyId: fromHex(KEY), fromState, toState, epoch: EPOCH },
});

interface Played {
  readonly store: MemoryStore;
  readonly states: KeyStates;
  readonly asked: KeyRequest[];
  carryOut(operation: CommandOperation, of?: GatewayCommand): Promise<readonly CommandProgress[]>;
}

/** @param makes the key that this life of the node finds for a request */
async function played(store = new MemoryStore(), makes = KEY): Promise<Played> {
  const asked: KeyRequest[] = [];
  const states = new KeyStates(store);
  const said = new SaidStatements(store);
  const signer = await resultSigner();
  return {
    ...{ store, states, asked },
    async carryOut(operation, of = command) {
      const permission = { kind: 'command', operation } as Permission;
      const desk = new CommandDesk({
        ...{ domain, states, said, signer, recordDigest },
        authority: { permit: async () => ({ claim: { kind: 'command', command: of } as Claim, permission }) },
        ceremonies: {
          async *generate(request): AsyncIterable<KeyProgress> {
            asked.push(request);
            yield { kind: 'progress', phase: 'setting up seeds', done: 1, total: 4 };
            yield { kind: 'finished', keyId: makes };
          },
        },
      });
      const steps: CommandProgress[] = [];
      for await (const step of desk.carryOut({ claim: nothing, evidence: nothing }, never)) steps.push(step);
      return steps;
    },
  };
}

/** The last step is this statement, as contracts decode it and wallets hash it, signed by this node. */
async function expectSaid(
  steps: readonly CommandProgress[],
  name: TypedName,
  statement: Readonly<Record<string, unknown>>,
): Promise<void> {
  const done = steps.at(-1);
  if (done?.kind !== 'done') throw new Error('it said nothing');
  const fields: readonly Field[] = typedData[name];
  const message = Object.fromEntries(
    fields.map((field) => [field.name, viemValue(statement[field.name] as never)]),
  );
  const components = fields.map(({ name: of, type }) => ({ name: of, type }));
  expect(hex(done.statement)).toBe(encodeAbiParameters([{ type: 'tuple', components }], [message]));
  const types: Record<string, readonly TypedDataParameter[]> = { [name]: fields };
  const hash = hashTypedData({ domain: viemDomain, types, primaryType: name, message });
  const by = await recoverAddress({ hash, signature: hex(done.signature) });
  expect(by.toLowerCase()).toBe(hex(signerOf(1)));
}

const keySaid = (key: KeyId): Readonly<Record<string, unknown>> => ({
  ...{
    commandId: 9n,
    keyId: fromHex(key),
    preset: 1,
    epoch: EPOCH,
    recordDigest: fromHex(recordDigest(key)),
  },
});
const moveSaid = (fromState: number, toState: number): Readonly<Record<string, unknown>> => ({
  ...{ commandId: 9n, keyId: fromHex(KEY), fromState, toState, epoch: EPOCH },
});

describe('command desk', () => {
  test('command desk: a key is generated as commanded, under the chain’s name of the command, and said', async () => {
    const { carryOut, asked } = await played();
    const steps = await carryOut(generation);
    expect(steps[0]).toEqual({ kind: 'progress', phase: 'setting up seeds', done: 1, total: 4 });
    expect(asked).toEqual([
      { request: toHex(commandCommitment(command)), preset: 'test-4096', galois: 'sum' },
    ]);
    await expectSaid(steps, 'KeyGeneration', keySaid(KEY));
  });

  test('command desk: commands that differ in any field are different key generations', async () => {
    const { carryOut, asked } = await played();
    const others: readonly Partial<GatewayCommand>[] = [
      {},
      ...[{ id: 10n }, { kind: 1 }, { epoch: 7n }, { payload: some('other') }, { requestedAt: 2n }],
      { expiresAt: 5n },
    ];
    for (const change of others) await carryOut(generation, { ...command, ...change });
    expect(new Set(asked.map(({ request }) => request)).size).toBe(others.length);
  });

  test('command desk: a move is durable before it is said', async () => {
    const all = await played();
    await expectSaid(await all.carryOut(move(1, 2)), 'LifecycleTransition', moveSaid(1, 2));
    expect(await all.states.of(KEY)).toBe(keyStates.active);
    for (const [record, operation] of [
      ['keys/', move(1, 2)],
      ['commands/', move(1, 2)],
      ['commands/', generation],
    ] as const) {
      const failing = await played();
      const { put } = MemoryStore.prototype;
      failing.store.put = async (name, bytes) => {
        if (name.startsWith(record)) throw new KmsError('STORE_FAILED', 'no');
        await put.call(failing.store, name, bytes);
      };
      await expect(failing.carryOut(operation)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    }
  });

  test('command desk: about one command a node says one thing, whatever the chain shows later', async () => {
    const all = await played();
    await all.carryOut(move(2, 5));
    // Another command has been carried out meanwhile, and this one is still open.
    await expectSaid(await all.carryOut(move(3, 5)), 'LifecycleTransition', moveSaid(2, 5));
    const later = await played(all.store);
    await expectSaid(await later.carryOut(move(3, 5)), 'LifecycleTransition', moveSaid(2, 5));
    // About another command it may say that.
    const steps = await later.carryOut(move(3, 5), { ...command, id: 10n });
    await expectSaid(steps, 'LifecycleTransition', moveSaid(3, 5));
  });

  test('command desk: two keys certified for one command: the one that was said first is said always', async () => {
    const first = await played();
    await first.carryOut(generation);
    const later = await played(first.store, OTHER);
    await expectSaid(await later.carryOut(generation), 'KeyGeneration', keySaid(KEY));
  });

  test('command desk: asked twice at once, it says one thing', async () => {
    const all = await played();
    const both = await Promise.all([all.carryOut(move(2, 5)), all.carryOut(move(3, 5))]);
    for (const steps of both) await expectSaid(steps, 'LifecycleTransition', moveSaid(2, 5));
  });

  test('command desk: nothing is destroyed yet, and nothing else than keys made and moved', async () => {
    const all = await played();
    const others = ['crsGeneration', 'switchingKey', 'epochChange', 'backup', 'recovery'].map(
      (kind) => ({ kind }) as CommandOperation,
    );
    for (const operation of [move(4, 6), ...others]) {
      await expect(all.carryOut(operation)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    }
    expect(all.store.records.size).toBe(0);
  });

  test('command desk: what is not permitted is not carried out, and a request is not a command', async () => {
    const { states, store } = await played();
    const ports = {
      ...{ domain, states, said: new SaidStatements(store), signer: await resultSigner(), recordDigest },
      ceremonies: {
        generate: () => {
          throw new Error('generated');
        },
      },
    };
    const refused = new CommandDesk({
      ...ports,
      authority: { permit: () => Promise.reject(new KmsError('REQUEST_OVER', 'over')) },
    });
    const asked = { claim: nothing, evidence: nothing };
    const next = (desk: CommandDesk) => desk.carryOut(asked, never)[Symbol.asyncIterator]().next();
    await expect(next(refused)).rejects.toMatchObject({ code: 'REQUEST_OVER' });
    const request = new CommandDesk({
      ...ports,
      authority: {
        permit: async () => ({
          claim: { kind: 'public' } as Claim,
          permission: { kind: 'public', operation: generation } as unknown as Permission,
        }),
      },
    });
    await expect(next(request)).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(store.records.size).toBe(0);
  });
});

describe('key states', () => {
  const name = `keys/${KEY}/lifecycle`;

  test('key states: a key that was never moved is pre-active; what was carried out is there in the next life', async () => {
    const store = new MemoryStore();
    expect(await new KeyStates(store).of(KEY)).toBe(keyStates.preActivation);
    await new KeyStates(store).move(KEY, keyStates.suspended);
    expect(await new KeyStates(store).of(KEY)).toBe(keyStates.suspended);
    expect(await new KeyStates(store).of(OTHER)).toBe(keyStates.preActivation);
  });

  test.each([[[]], [[0]], [[1]], [[7]], [[2, 2]]])(
    'key states: a record %j is damaged, and no state',
    async (bytes) => {
      const states = new KeyStates(new MemoryStore(new Map([[name, Uint8Array.from(bytes)]])));
      await expect(states.of(KEY)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    },
  );

  test('key states: from destroyed no way leads back', async () => {
    const states = new KeyStates(new MemoryStore());
    await states.move(KEY, keyStates.destroyed);
    await states.move(KEY, keyStates.destroyed);
    for (const state of [keyStates.active, keyStates.compromised]) {
      await expect(states.move(KEY, state)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    }
    expect(await states.of(KEY)).toBe(keyStates.destroyed);
  });

  test('key states: a state that is known already is not written again', async () => {
    const store = new MemoryStore();
    const states = new KeyStates(store);
    await states.move(KEY, keyStates.active);
    store.put = () => Promise.reject(new Error('written'));
    await states.move(KEY, keyStates.active);
  });
});
