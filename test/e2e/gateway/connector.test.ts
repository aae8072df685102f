import { bytesToHex, type Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import type { Endpoint } from '../../../gateway/adapter/endpoint.ts';
import { MAX_REFUSALS } from '../../../parent/connector/verdict.ts';
import { KmsError } from '../../../shared/errors.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { decodeResult } from '../../../shared/gateway/result-bytes.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import {
  type BroughtHandle,
  ConnectedNetwork,
  EVERYBODY,
  type RunningConnector,
} from './connected-network.ts';
import { bytesOf, lastEvent } from './founded.ts';

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
  test('commands are carried out by all nodes, and told to host chains', async () => {
    ({ key, id: keyId } = await network.makeKey());
    expect(await reader().read({ to: gateway().keys, name: 'keyState', args: [keyId] })).toBe(2);
  }, 120_000);

  test('a contract asks its oracle and is called back with the value', async () => {
    const { deployer, oracle, compute } = network.host;
    const [a, b] = [await brought(20n), await brought(22n)];
    using evaluator = await key.evaluator();
    await deployer.send({ to: compute, name: 'add', args: [a.handle, b.handle] });
    const sum = await network.computed(evaluator.add(a.envelope, b.envelope));
    await deployer.send({ to: oracle, name: 'request', args: [[sum.handle], '0x00000000', 100_000] });
    await network.mirror(sum.handle, [EVERYBODY]);
    const { id } = await lastEvent(deployer, oracle, 'DecryptionRequested');
    const isDelivered = (): Promise<unknown> => deployer.read({ to: oracle, name: 'delivered', args: [id] });
    await eventually(async () => (await isDelivered()) === true);
    const { result } = await lastEvent(deployer, oracle, 'ResultDelivered');
    expect(decodeResult(bytesOf(result) as Uint8Array, ['scalar'], PRESET.degree)).toEqual([
      { kind: 'scalar', value: 42n },
    ]);
  }, 120_000);

  test('twenty requests at once are all answered, each once', async () => {
    const handles = [await brought(3n), await brought(5n)];
    for (const { handle } of handles) await network.publish(handle);
    const ids: bigint[] = [];
    for (let i = 0; i < 20; i++) ids.push(await requested(handles[i % 2]!.handle));
    for (const [i, id] of ids.entries()) {
      expect(await answerOf(id)).toEqual({ kind: 'scalar', value: i % 2 === 0 ? 3n : 5n });
    }
  }, 120_000);
});

/** Who posts a request's answer first. */
const firstOf = (id: bigint): number => Number(id % 4n) + 1;

async function transactionsOf({ account }: RunningConnector): Promise<number> {
  return reader().client.getTransactionCount({ address: account.address });
}

describe('connectors that fail', () => {
  let handle: Hex;

  beforeAll(async () => {
    const one = await brought(7n);
    await network.publish(one.handle);
    handle = one.handle;
  }, 60_000);

  test('one stopped for good is replaced by the next', async () => {
    await network.connectors[1]!.stop();
    const ids = [];
    for (let i = 0; i < 4; i++) ids.push(await requested(handle));
    expect(ids.map(firstOf)).toContain(2);
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
