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

/** Requests that no contract made. @returns their ids */
async function requested(count: number): Promise<readonly bigint[]> {
  const to = gateway().decryptions;
  const args = [BigInt(network.host.chain.chainId), reader().address, NOTHING, [handle], 600n];
  const before = (await reader().read({ to, name: 'requestCount' })) as bigint;
  for (let i = 0; i < count; i++) await reader().send({ to, name: 'requestPublic', args });
  return Array.from({ length: count }, (_, i) => before + BigInt(i) + 1n);
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
const firstOf = (id: bigint): number => Number(id % 4n) + 1;

/** An enclave whose answers to what its party posts first are held until there are so many: they are ready together. */
function together(enclave: Enclave, party: number, count: number, change: Partial<Enclave> = {}): Enclave {
  const gate = Promise.withResolvers<void>();
  let ready = 0;
  return {
    party: (signal) => enclave.party(signal),
    carryOut: (request, signal) => enclave.carryOut(request, signal),
    signBatch: (batch, signal) => enclave.signBatch(batch, signal),
    async answer(request, signal) {
      const answer = await enclave.answer(request, signal);
      const claim = decodeClaim(request.claim);
      if (claim.kind === 'command' || firstOf(claim.request.id) !== party) return answer;
      if (++ready >= count) gate.resolve();
      await gate.promise;
      return answer;
    },
    ...change,
  };
}

const loggedOf = ({ logged }: RunningConnector, name: string) => logged.filter(({ event }) => event === name);

describe('batches', () => {
  test('what is asked at once is answered in batches, each request once, by its turn, and delivered from them', async () => {
    for (const party of [1, 2, 3, 4]) {
      await network.startConnector(party, { silence: FOREVER, enclave: (one) => together(one, party, 4) });
    }
    const { deployer, oracle } = network.host;
    const args = [[handle], '0x00000000', 100_000];
    const before = (await reader().read({ to: gateway().decryptions, name: 'requestCount' })) as bigint;
    const firstAsked = ((await deployer.read({ to: oracle, name: 'requestCount' })) as bigint) + 1n;
    for (let i = 0; i < 16; i++) await deployer.send({ to: oracle, name: 'request', args });
    await network.mirror(handle, [EVERYBODY]);
    const ids = Array.from({ length: 16 }, (_, i) => before + BigInt(i) + 1n);
    const transactions = await answered(ids);
    expect([...transactions.values()].some((count) => count > 1)).toBe(true);
    expect(transactions.size).toBeLessThan(16);
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
    for (const party of [1, 3, 4]) {
      await network.startConnector(party, { enclave: (one) => together(one, party, 2) });
    }
    const ids = await requested(8);
    const transactions = await answered(ids);
    const byNext = [];
    for (const [hash, count] of transactions) {
      if ((await posterOf(hash)) === network.connectors[2]!.account.address) byNext.push(count);
    }
    expect(byNext.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(
      ids.filter((id) => firstOf(id) === 2).length,
    );
    expect(Math.max(...byNext)).toBeGreaterThan(1);
  }, 120_000);

  test('a connector that composes what its enclave has not said gets no signature', async () => {
    const enclaves: Enclave[] = [];
    const batches: EnclaveBatch[] = [];
    for (const party of [1, 2, 3, 4]) {
      await network.startConnector(party, {
        silence: FOREVER,
        enclave(enclave) {
          enclaves.push(enclave);
          return together(enclave, party, 2, {
            async signBatch(batch, signal) {
              batches.push(batch);
              return enclave.signBatch(batch, signal);
            },
          });
        },
      });
    }
    await answered(await requested(8));
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
      const running = [];
      for (const party of [1, 2, 3, 4]) {
        const one = await network.startConnector(party, {
          silence: FOREVER,
          enclave: (enclave) => together(enclave, party, 2, { signBatch }),
        });
        running.push(one);
      }
      const transactions = await answered(await requested(8));
      expect([...transactions.values()]).toEqual(Array.from({ length: 8 }, () => 1));
      expect(running.flatMap((one) => loggedOf(one, event)).length).toBeGreaterThan(0);
    },
    120_000,
  );

  test('killed while it posts a batch and started again, it answers each request once', async () => {
    for (const party of [2, 3, 4]) {
      await network.startConnector(party, { silence: FOREVER, enclave: (one) => together(one, party, 2) });
    }
    for (const step of ['eth_estimateGas', 'eth_sendRawTransaction', 'eth_getTransactionReceipt']) {
      let isKilled = false;
      const killing = (endpoint: Endpoint, kill: () => void): Endpoint => ({
        async ask(method, params, signal) {
          if (method !== step && !isKilled) return endpoint.ask(method, params, signal);
          isKilled = true;
          kill();
          throw new KmsError('UNAVAILABLE', 'killed');
        },
      });
      const ids = await requested(8);
      const one = await network.startConnector(1, {
        ...{ silence: FOREVER, endpoint: killing, enclave: (enclave) => together(enclave, 1, 2) },
      });
      await eventually(async () => isKilled);
      await one.stop();
      await network.startConnector(1, { silence: FOREVER });
      await answered(ids);
      await network.connectors[0]!.stop();
    }
  }, 180_000);
});
