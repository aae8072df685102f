import { bytesToHex, type Hex } from 'viem';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import type { Endpoint } from '../../../gateway/adapter/endpoint.ts';
import type { Enclave, EnclaveBatch } from '../../../parent/connector/enclave-client.ts';
import { KmsError } from '../../../shared/errors.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { decodeClaim } from '../../../shared/gateway/policy/claim-codec.ts';
import { decodeResult } from '../../../shared/gateway/result-bytes.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import { ConnectedNetwork, EVERYBODY, type RunningConnector } from './connected-network.ts';
import { bytesOf } from './founded.ts';

/** Many answers at once, between real chains and live enclaves: in batches, and alone where a batch fails. */

const PRESET = presetByName('test-4096');
const NOTHING = bytesToHex(new Uint8Array(32));
/** Nobody but the first one posts. */
const FOREVER = { blocks: 1n, seconds: 10_000n };
const never = new AbortController().signal;

let network: ConnectedNetwork;
let key: NetworkKey;
let keyId: Hex;
let handle: Hex;

beforeAll(async () => {
  network = await ConnectedNetwork.start();
  ({ key, id: keyId } = await network.makeKey());
  ({ handle } = await network.input(await key.encrypt({ kind: 'scalar', value: 7n }), keyId));
  await network.publish(handle);
}, 300_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

// Whatever a test left behind: the next one begins with none.
beforeEach(() => network.stopAll(), 60_000);

const gateway = () => network.enclaves.chains.gateway;
const reader = () => network.enclaves.relayer;

interface Event<Args> {
  readonly args: Args;
  readonly transactionHash: Hex;
}

async function eventsOf<Args>(eventName: string): Promise<readonly Event<Args>[]> {
  const of = { ...gateway().decryptions, eventName, fromBlock: 0n };
  return (await reader().client.getContractEvents(of)) as unknown as readonly Event<Args>[];
}

/** What the next requests will be called. */
async function nextIds(count: number): Promise<readonly bigint[]> {
  const before = await reader().read({ to: gateway().decryptions, name: 'requestCount' });
  return Array.from({ length: count }, (_, i) => (before as bigint) + BigInt(i) + 1n);
}

/** Requests that no contract made. */
async function request({ length }: readonly bigint[]): Promise<void> {
  const to = gateway().decryptions;
  const args = [BigInt(network.host.chain.chainId), reader().address, NOTHING, [handle], 600n];
  for (let i = 0; i < length; i++) await reader().send({ to, name: 'requestPublic', args });
}

/** Each is answered once, with the value. @returns transactions that did it, each with how many it answered */
async function answered(ids: readonly bigint[]): Promise<ReadonlyMap<Hex, number>> {
  const answers = async () => {
    const all = await eventsOf<{ readonly id: bigint; readonly result: Hex }>('PublicDecryptionAnswered');
    return all.filter(({ args }) => ids.includes(args.id));
  };
  await eventually(async () => (await answers()).length >= ids.length);
  const all = await answers();
  expect(all.map(({ args }) => args.id).sort()).toEqual([...ids].sort());
  for (const { args } of all) {
    const result = bytesOf(args.result) as Uint8Array;
    expect(decodeResult(result, ['scalar'], PRESET.degree)).toEqual([{ kind: 'scalar', value: 7n }]);
  }
  const byTransaction = Map.groupBy(all, ({ transactionHash }) => transactionHash);
  return new Map([...byTransaction].map(([hash, events]) => [hash, events.length]));
}

async function posterOf(transaction: Hex): Promise<string> {
  return (await reader().client.getTransaction({ hash: transaction })).from.toLowerCase();
}

/** Who posts a request's answer first. */
const firstOf = (id: bigint): number => Number((id / 16n) % 4n) + 1;

/** An enclave whose answers to these requests, as far as its party posts them first, are held until all are there: they are ready together. */
function together(
  enclave: Enclave,
  party: number,
  ids: readonly bigint[],
  change: Partial<Enclave> = {},
): Enclave {
  const gate = Promise.withResolvers<void>();
  const held = ids.filter((id) => firstOf(id) === party);
  const ready = new Set<bigint>();
  return {
    party: (signal) => enclave.party(signal),
    signAnchor: (signal) => enclave.signAnchor(signal),
    carryOut: (request, signal) => enclave.carryOut(request, signal),
    signBatch: (batch, signal) => enclave.signBatch(batch, signal),
    async answer(request, signal) {
      const answer = await enclave.answer(request, signal);
      const claim = decodeClaim(request.claim);
      if (claim.kind === 'command' || !held.includes(claim.request.id)) return answer;
      ready.add(claim.request.id);
      if (ready.size === held.length) gate.resolve();
      await gate.promise;
      return answer;
    },
    ...change,
  };
}

const loggedOf = ({ logged }: RunningConnector, name: string) => logged.filter(({ event }) => event === name);

describe('batches', () => {
  test('what is asked at once is answered in batches, each request once, by its turn, and delivered from them', async () => {
    const ids = await nextIds(16);
    for (const party of [1, 2, 3, 4]) {
      await network.startConnector(party, { silence: FOREVER, enclave: (one) => together(one, party, ids) });
    }
    const { deployer, oracle } = network.host;
    const args = [[handle], '0x00000000', 100_000];
    const firstAsked = ((await deployer.read({ to: oracle, name: 'requestCount' })) as bigint) + 1n;
    for (let i = 0; i < 16; i++) await deployer.send({ to: oracle, name: 'request', args });
    await network.mirror(handle, [EVERYBODY]);
    const transactions = await answered(ids);
    // Of one or two runs.
    expect(Math.max(...transactions.values())).toBeGreaterThanOrEqual(8);
    expect(transactions.size).toBeLessThanOrEqual(2);
    for (const [hash, count] of transactions) {
      const posted = (await eventsOf<{ readonly answered: bigint }>('BatchPosted')).filter(
        ({ transactionHash }) => transactionHash === hash,
      );
      expect(posted.map((event) => event.args.answered)).toEqual(count > 1 ? [BigInt(count)] : []);
    }
    for (let id = firstAsked; id < firstAsked + 16n; id++) {
      const isExecuted = { to: oracle, name: 'executed', args: [id] };
      await eventually(async () => (await deployer.read(isExecuted)) === true);
    }
    const verified = await deployer.client.getContractEvents({
      ...{ ...network.host.verifier, eventName: 'BatchVerified', fromBlock: 0n },
    });
    expect(verified.length).toBe([...transactions.values()].filter((count) => count > 1).length);
  }, 120_000);

  test('with one member silent the others’ batches are posted, and the next one posts what was the silent one’s', async () => {
    const ids = await nextIds(8);
    // At least four of them are its.
    const silent = firstOf(ids[3]!);
    for (const party of [1, 2, 3, 4].filter((one) => one !== silent)) {
      await network.startConnector(party, { enclave: (one) => together(one, party, ids) });
    }
    await request(ids);
    const transactions = await answered(ids);
    const byNext = [];
    for (const [hash, count] of transactions) {
      if ((await posterOf(hash)) === network.connectors[silent % 4]!.account.address) byNext.push(count);
    }
    expect(byNext.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(
      ids.filter((id) => firstOf(id) === silent).length,
    );
    expect(Math.max(...byNext)).toBeGreaterThan(1);
  }, 120_000);

  test('a connector that composes what its enclave has not said gets no signature', async () => {
    const ids = await nextIds(8);
    const enclaves: Enclave[] = [];
    const batches: EnclaveBatch[] = [];
    for (const party of [1, 2, 3, 4]) {
      await network.startConnector(party, {
        silence: FOREVER,
        enclave(enclave) {
          enclaves.push(enclave);
          return together(enclave, party, ids, {
            async signBatch(batch, signal) {
              batches.push(batch);
              return enclave.signBatch(batch, signal);
            },
          });
        },
      });
    }
    await request(ids);
    await answered(ids);
    const { epoch, leaves } = batches[0]!;
    const changed = leaves.map((leaf, i) => (i === 0 ? leaf.with(31, leaf[31]! ^ 1) : leaf));
    const asked = enclaves[0]!.signBatch({ epoch, leaves: changed }, never);
    await expect(asked).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    const later = enclaves[0]!.signBatch({ epoch: epoch + 1n, leaves }, never);
    await expect(later).rejects.toMatchObject({ code: 'WRONG_EPOCH' });
    // Members who were not asked by their own connectors have found it out themselves.
    expect((await enclaves[0]!.signBatch({ epoch, leaves }, never)).length).toBeGreaterThanOrEqual(3);
  }, 120_000);

  test.each<[string, string, Enclave['signBatch']]>([
    [
      'a batch under signatures that are none is refused by the contract',
      'batch-refused',
      async () =>
        [1, 2, 3].map((party) => ({ party, own: new Uint8Array(0), signature: new Uint8Array(65) })),
    ],
    [
      'a batch that the members do not sign is not posted',
      'batch-not-signed',
      () => Promise.reject(new KmsError('NOT_ENOUGH_PARTIES', 'played')),
    ],
  ])(
    '%s, and its answers are posted one by one',
    async (_, event, signBatch) => {
      const ids = await nextIds(8);
      const running = [];
      for (const party of [1, 2, 3, 4]) {
        const one = await network.startConnector(party, {
          silence: FOREVER,
          enclave: (enclave) => together(enclave, party, ids, { signBatch }),
        });
        running.push(one);
      }
      await request(ids);
      const transactions = await answered(ids);
      expect([...transactions.values()]).toEqual(Array.from({ length: 8 }, () => 1));
      expect(running.flatMap((one) => loggedOf(one, event)).length).toBeGreaterThan(0);
    },
    120_000,
  );

  test('killed while it posts a batch and started again, it answers each request once', async () => {
    for (const step of ['eth_estimateGas', 'eth_sendRawTransaction', 'eth_getTransactionReceipt']) {
      const ids = await nextIds(8);
      // At least four of them are its.
      const first = firstOf(ids[3]!);
      for (const party of [1, 2, 3, 4].filter((one) => one !== first)) {
        await network.startConnector(party, {
          silence: FOREVER,
          enclave: (one) => together(one, party, ids),
        });
      }
      let isKilled = false;
      const killing = (endpoint: Endpoint, kill: () => void): Endpoint => ({
        async ask(method, params, signal) {
          if (method !== step && !isKilled) return endpoint.ask(method, params, signal);
          isKilled = true;
          kill();
          throw new KmsError('UNAVAILABLE', 'killed');
        },
      });
      await request(ids);
      const one = await network.startConnector(first, {
        ...{ silence: FOREVER, endpoint: killing, enclave: (enclave) => together(enclave, first, ids) },
      });
      await eventually(async () => isKilled);
      await one.stop();
      await network.startConnector(first, { silence: FOREVER });
      await answered(ids);
      await network.stopAll();
    }
  }, 180_000);
});
