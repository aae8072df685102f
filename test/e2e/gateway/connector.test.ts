import { bytesToHex, type Hex } from 'viem';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import type { Endpoint } from '../../../gateway/adapter/endpoint.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import { command } from '../../../infra/local/chains/gateway.ts';
import { MAX_REFUSALS } from '../../../parent/connector/verdict.ts';
import { type ErrorCode, KmsError } from '../../../shared/errors.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { decodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { readHeader } from '../../../shared/gateway/proof/header.ts';
import { decodeResult } from '../../../shared/gateway/result-bytes.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import {
  type BroughtHandle,
  ConnectedNetwork,
  EVERYBODY,
  type RunningConnector,
} from './connected-network.ts';
import { bytesOf, encoded, lastEvent } from './founded.ts';
import { rpc } from './played-network.ts';

/** Parents' connectors between real chains and live enclaves: what is asked on chain is answered with nobody's help. */

const PRESET = presetByName('test-4096');

let network: ConnectedNetwork;
let key: NetworkKey;
let keyId: Hex;

beforeAll(async () => {
  network = await ConnectedNetwork.start();
}, 300_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

const gateway = () => network.enclaves.chains.gateway;
const reader = () => network.enclaves.relayer;

/** Who posts a request's answer first. */
const firstOf = (id: bigint): number => Number((id / 16n) % 4n) + 1;

interface Answered {
  readonly id: bigint;
  readonly result: Hex;
}

async function eventsOf<Args>(of: 'keys' | 'decryptions', eventName: string): Promise<readonly Args[]> {
  const events = await reader().client.getContractEvents({ ...gateway()[of], eventName, fromBlock: 0n });
  return events.map(({ args }) => args as unknown as Args);
}

const answersOf = async (id: bigint): Promise<readonly Answered[]> =>
  (await eventsOf<Answered>('decryptions', 'PublicDecryptionAnswered')).filter((one) => one.id === id);

/** @returns the value that is the only answer to a request, as soon as there is one */
async function answerOf(id: bigint): Promise<unknown> {
  await eventually(async () => (await answersOf(id)).length > 0);
  const all = await answersOf(id);
  expect(all).toHaveLength(1);
  const result = bytesOf(all[0]!.result) as Uint8Array;
  return decodeResult(result, ['scalar'], PRESET.degree)[0];
}

async function brought(value: bigint): Promise<BroughtHandle> {
  return network.input(await key.encrypt({ kind: 'scalar', value }), keyId);
}

/** A request that no contract made, of handles that are public. @returns its id */
async function requested(handle: Hex, lifetimeS = 600n): Promise<bigint> {
  const { decryptions } = gateway();
  const nothing = bytesToHex(new Uint8Array(32));
  const args = [BigInt(network.host.chain.chainId), reader().address, nothing, [handle], lifetimeS];
  await reader().send({ to: decryptions, name: 'requestPublic', args });
  return (await lastEvent(reader(), decryptions, 'PublicDecryptionRequested')).id as bigint;
}

describe('connectors', () => {
  test('the registry remembers how far each node has come', async () => {
    const { registry } = gateway();
    for (const { node } of network.enclaves.nodes.all) {
      const { anchor } = await node.signAnchor();
      const known = { to: registry, name: 'anchorVersions', args: [bytesToHex(anchor.identity)] };
      await eventually(async () => (await reader().read(known)) === anchor.version);
    }
  }, 60_000);

  test('commands are carried out by all nodes, and told to host chains', async () => {
    ({ key, id: keyId } = await network.makeKey());
    expect(await reader().read({ to: gateway().keys, name: 'keyState', args: [keyId] })).toBe(2);
  }, 120_000);

  test('a contract asks its oracle twice and gets either value', async () => {
    const { deployer, oracle, compute } = network.host;
    const [a, b] = [await brought(20n), await brought(22n)];
    using evaluator = await key.evaluator();
    await deployer.send({ to: compute, name: 'add', args: [a.handle, b.handle] });
    const sum = await network.computed(evaluator.add(a.envelope, b.envelope));
    const asked: bigint[] = [];
    for (const { handle } of [sum, a]) {
      await deployer.send({ to: oracle, name: 'request', args: [[handle], '0x00000000', 100_000] });
      asked.push((await lastEvent(deployer, oracle, 'DecryptionRequested')).id as bigint);
    }
    // Only now can relayers bring them to the gateway, both of one asker.
    for (const { handle } of [sum, a]) await network.mirror(handle, [EVERYBODY]);
    for (const [i, id] of asked.entries()) {
      const isDelivered = { to: oracle, name: 'delivered', args: [id] };
      await eventually(async () => (await deployer.read(isDelivered)) === true);
      const results = await deployer.client.getContractEvents({
        ...{ ...oracle, eventName: 'ResultDelivered', fromBlock: 0n },
      });
      const delivered = results.map(({ args }) => args as unknown as { id: bigint; result: Hex });
      const { result } = delivered.find((one) => one.id === id)!;
      expect(decodeResult(bytesOf(result) as Uint8Array, ['scalar'], PRESET.degree)).toEqual([
        { kind: 'scalar', value: i === 0 ? 42n : 20n },
      ]);
    }
  }, 120_000);

  test('twenty requests at once are all answered, each once and by its turn, sixteen at an enclave', async () => {
    const most: number[] = [];
    await network.stopAll();
    // Who is first is waited for as long as it takes: nobody else posts.
    const silence = { blocks: 1n, seconds: 10_000n };
    for (const party of [1, 2, 3, 4]) {
      const gate = Promise.withResolvers<void>();
      let atEnclave = 0;
      most[party - 1] = 0;
      await network.startConnector(party, {
        silence,
        enclave: (enclave) => ({
          party: (signal) => enclave.party(signal),
          signBatch: (batch, signal) => enclave.signBatch(batch, signal),
          signAnchor: (signal) => enclave.signAnchor(signal),
          carryOut: (request, signal) => enclave.carryOut(request, signal),
          async answer(request, signal) {
            most[party - 1] = Math.max(most[party - 1]!, ++atEnclave);
            // A seventeenth would come meanwhile.
            if (atEnclave === 16) setTimeout(gate.resolve, 300);
            try {
              await gate.promise;
              return await enclave.answer(request, signal);
            } finally {
              atEnclave--;
            }
          },
        }),
      });
    }
    const handles = [await brought(3n), await brought(5n)];
    for (const { handle } of handles) await network.publish(handle);
    const ids: bigint[] = [];
    for (let i = 0; i < 20; i++) ids.push(await requested(handles[i % 2]!.handle));
    for (const [i, id] of ids.entries()) {
      expect(await answerOf(id)).toEqual({ kind: 'scalar', value: i % 2 === 0 ? 3n : 5n });
      expect(await posterOf(id)).toBe(network.connectors[firstOf(id) - 1]!.account.address);
    }
    expect(most).toEqual([16, 16, 16, 16]);
    await network.stopAll();
    await network.startAll();
  }, 120_000);
});

async function transactionsOf({ account }: RunningConnector): Promise<number> {
  return reader().client.getTransactionCount({ address: account.address });
}

/** Whose transaction answered a request, lower case. */
async function posterOf(id: bigint): Promise<string | undefined> {
  const { client } = reader();
  const events = await client.getContractEvents({
    ...{ ...gateway().decryptions, eventName: 'PublicDecryptionAnswered', fromBlock: 0n },
    args: { id },
  });
  const { from } = await client.getTransaction({ hash: events[0]!.transactionHash! });
  return from.toLowerCase();
}

describe('connectors that fail', () => {
  let handle: Hex;

  // Whatever a test left behind: the next one begins with all four, as they are.
  beforeEach(async () => {
    await network.stopAll();
    await network.startAll();
  }, 60_000);

  beforeAll(async () => {
    const one = await brought(7n);
    await network.publish(one.handle);
    handle = one.handle;
  }, 60_000);

  test('one stopped for good is replaced by the next', async () => {
    const asked = (await reader().read({ to: gateway().decryptions, name: 'requestCount' })) as bigint;
    await network.connectors[firstOf(asked + 1n) - 1]!.stop();
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push(await requested(handle));
    for (const id of ids) expect(await answerOf(id)).toEqual({ kind: 'scalar', value: 7n });
    await network.startAll();
  }, 120_000);

  test('killed at every step and started again, it answers once, and pays once', async () => {
    await network.stopAll();
    const id = await requested(handle);
    const party = firstOf(id);
    // The other enclaves have to be asked too; who asks them is silent on chain.
    const others = [1, 2, 3, 4].filter((one) => one !== party);
    for (const other of others) await network.startConnector(other, { endpoint: withoutTransactions });
    const steps = [
      ...['eth_getLogs', 'eth_getProof', 'eth_estimateGas', 'eth_sendRawTransaction'],
      'eth_getTransactionReceipt',
    ];
    let before: number | undefined;
    for (const step of steps) {
      let isKilled = false;
      const one = await network.startConnector(party, {
        endpoint: (endpoint, kill) => ({
          async ask(method, params, signal) {
            if (method !== step && !isKilled) return endpoint.ask(method, params, signal);
            isKilled = true;
            kill();
            throw new KmsError('UNAVAILABLE', 'killed');
          },
        }),
      });
      before ??= await transactionsOf(one);
      await eventually(async () => isKilled);
      await one.stop();
      if (step !== 'eth_getTransactionReceipt') expect(await answersOf(id)).toHaveLength(0);
    }
    const last = await network.startConnector(party);
    expect(await answerOf(id)).toEqual({ kind: 'scalar', value: 7n });
    expect(await transactionsOf(last)).toBe(before! + 1);
    for (const other of others) await network.connectors[other - 1]!.stop();
    await network.startAll();
    // Whoever follows from its cursor finds it answered.
    expect(await answerOf(await requested(handle))).toEqual({ kind: 'scalar', value: 7n });
    expect(await answersOf(id)).toHaveLength(1);
  }, 120_000);

  test('what the host chain does not permit is refused a few times and given up aloud', async () => {
    const secret = await brought(8n);
    // The coprocessors’ mirror says what the host chain does not.
    await network.mirror(secret.handle, [EVERYBODY]);
    const id = await requested(secret.handle);
    const refusalsOf = ({ logged }: RunningConnector) =>
      logged.filter(({ event, item, code }) => {
        return event === 'enclave-refuses' && code === 'NOT_PERMITTED' && item?.startsWith(`request-${id}-`);
      });
    const running = network.connectors.map((one) => one!);
    await eventually(async () =>
      running.every(({ logged }) =>
        logged.some(({ event, item }) => event === 'work-given-up' && item?.startsWith(`request-${id}-`)),
      ),
    );
    for (const one of running) expect(refusalsOf(one)).toHaveLength(MAX_REFUSALS);
    expect(await answersOf(id)).toHaveLength(0);
  }, 120_000);

  test('an enclave that knows a block too late, or does not find the facts, gets newer proofs', async () => {
    await network.stopAll();
    const id = await requested(handle);
    const party = firstOf(id);
    for (const other of [1, 2, 3, 4].filter((one) => one !== party)) {
      await network.startConnector(other, { endpoint: withoutTransactions });
    }
    const refusals: ErrorCode[] = ['STALE_HEAD', 'STALE_HEAD', 'NOT_PROVEN'];
    const proven: (readonly bigint[])[] = [];
    const { logged } = await network.startConnector(party, {
      enclave: (enclave) => ({
        party: (signal) => enclave.party(signal),
        signBatch: (batch, signal) => enclave.signBatch(batch, signal),
        signAnchor: (signal) => enclave.signAnchor(signal),
        carryOut: (request, signal) => enclave.carryOut(request, signal),
        async answer(request, signal) {
          proven.push(decodeEvidence(request.evidence).map(({ header }) => readHeader(header).number));
          const refusal = refusals.shift();
          if (refusal !== undefined) throw new KmsError(refusal, 'played');
          return enclave.answer(request, signal);
        },
      }),
    });
    expect(await answerOf(id)).toEqual({ kind: 'scalar', value: 7n });
    expect(proven.length).toBeGreaterThanOrEqual(4);
    for (const [i, number] of proven[3]!.entries()) expect(number).toBeGreaterThan(proven[2]![i]!);
    expect(logged.filter(({ event }) => event === 'enclave-refuses')).toHaveLength(1);
    await network.stopAll();
    await network.startAll();
  }, 120_000);

  test.each(['gateway', 'host'] as const)(
    'while the %s chain is down nothing is answered, afterwards everything, once',
    async (which) => {
      await network.stopAll();
      const { chainId } = which === 'gateway' ? gateway().chain : network.host.chain;
      let isDown = false;
      const failed = new Map<number, number>();
      for (const party of [1, 2, 3, 4]) {
        await network.startConnector(party, {
          endpoint: (endpoint, _, of) => ({
            async ask(method, params, signal) {
              if (!isDown || of !== BigInt(chainId)) return endpoint.ask(method, params, signal);
              failed.set(party, (failed.get(party) ?? 0) + 1);
              throw new KmsError('UNAVAILABLE', 'the chain is down');
            },
          }),
        });
      }
      isDown = true;
      for (const front of network.enclaves.fronts.get(chainId)!) front.fault = { kind: 'closes' };
      const ids = [await requested(handle), await requested(handle)];
      await eventually(async () => [1, 2, 3, 4].every((party) => (failed.get(party) ?? 0) > 20));
      for (const id of ids) expect(await answersOf(id)).toEqual([]);
      for (const [i, front] of network.enclaves.fronts.get(chainId)!.entries()) {
        front.fault = i === 1 ? { kind: 'false hashes' } : { kind: 'none' };
      }
      isDown = false;
      for (const id of ids) expect(await answerOf(id)).toEqual({ kind: 'scalar', value: 7n });
      await network.stopAll();
      await network.startAll();
    },
    120_000,
  );

  test('a node whose connector comes after the activation still does what was commanded', async () => {
    await network.connectors[3]!.stop();
    // Suspended, as far as three of four are concerned.
    const { id } = (await command(gateway(), 5, encoded(['bytes32', 'uint8'], [keyId, 3]))) as {
      readonly id: bigint;
    };
    const phase = { to: gateway().keys, name: 'phases', args: [id] };
    await eventually(async () => (await reader().read(phase)) === 2);
    const late = { to: gateway().keys, name: 'responses', args: [id, 4] };
    expect(BigInt((await reader().read(late)) as Hex)).toBe(0n);
    await network.startConnector(4);
    await eventually(async () => BigInt((await reader().read(late)) as Hex) !== 0n);
    const first = { to: gateway().keys, name: 'responses', args: [id, 1] };
    expect(await reader().read(late)).toBe(await reader().read(first));
  }, 120_000);

  test('a command that was carried out too long ago is given up aloud', async () => {
    await network.connectors[3]!.stop();
    const { id } = (await command(gateway(), 5, encoded(['bytes32', 'uint8'], [keyId, 2]))) as {
      readonly id: bigint;
    };
    const phase = { to: gateway().keys, name: 'phases', args: [id] };
    await eventually(async () => (await reader().read(phase)) === 2);
    let tries = 0;
    const { logged } = await network.startConnector(4, {
      enclave: (enclave) => ({
        party: (signal) => enclave.party(signal),
        signBatch: (batch, signal) => enclave.signBatch(batch, signal),
        answer: (request, signal) => enclave.answer(request, signal),
        // As the enclave says of the command's own block once that is too old.
        signAnchor: (signal) => enclave.signAnchor(signal),
        carryOut: (request, signal) =>
          tries++ === 0
            ? enclave.carryOut(request, signal)
            : Promise.reject(new KmsError('STALE_HEAD', 'played')),
      }),
    });
    await eventually(async () => logged.some(({ event }) => event === 'work-given-up'));
    expect(logged.some(({ event, count }) => event === 'command-missed' && count === Number(id))).toBe(true);
    expect(tries).toBe(2);
  }, 120_000);

  test('a request whose block is no more is let go of', async () => {
    await network.stopAll();
    const { decryptions, chain } = gateway();
    // An account that nobody uses afterwards: its transaction will not have been.
    const asker = new LocalAccount(chain, 9);
    const before = await rpc(chain, 'evm_snapshot');
    const origin = BigInt(network.host.chain.chainId);
    const args = [handle, origin, BigInt(network.enclaves.hosts[1]!.chain.chainId), asker.address, 600n];
    await asker.send({ to: decryptions, name: 'requestTransfer', args });
    const { logged } = await network.startConnector(1, {
      enclave: (enclave) => ({
        party: (signal) => enclave.party(signal),
        signBatch: (batch, signal) => enclave.signBatch(batch, signal),
        signAnchor: (signal) => enclave.signAnchor(signal),
        carryOut: (request, signal) => enclave.carryOut(request, signal),
        answer: () => Promise.reject(new KmsError('BUSY', 'played')),
      }),
    });
    await eventually(async () =>
      logged.some(({ event, code }) => event === 'work-failed' && code === 'BUSY'),
    );
    await rpc(chain, 'evm_revert', before);
    await eventually(async () => logged.some(({ event }) => event === 'request-undone'));
  }, 120_000);
});

/** Whatever it would post does not reach the chain. */
function withoutTransactions(endpoint: Endpoint): Endpoint {
  return {
    async ask(method, params, signal) {
      if (method !== 'eth_sendRawTransaction') return endpoint.ask(method, params, signal);
      throw new KmsError('UNAVAILABLE', 'this connector posts nothing');
    },
  };
}
