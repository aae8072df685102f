import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EndpointOf } from '../../../client/gateway/context.ts';
import { GatewayClient, type GatewayClientOptions } from '../../../client/gateway/gateway-client.ts';
import { decodeGatewayFile, type GatewayPlaces } from '../../../client/gateway/gateway-file.ts';
import { type Wallet, walletOf } from '../../../client/gateway/wallet.ts';
import { KmsClient } from '../../../client/sdk/kms-client.ts';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { computeAbi } from '../../../gateway/adapter/abi/host.ts';
import { type Endpoint, httpEndpoint, isRecord } from '../../../gateway/adapter/endpoint.ts';
import { topicOf } from '../../../gateway/adapter/events.ts';
import { LocalNetwork } from '../../../infra/local/network.ts';
import { generateUserKey } from '../../../shared/protocol/user-decryption/hpke.ts';
import type { UserKey } from '../../../shared/protocol/user-decryption/user-key.ts';
import { fromHex } from '../../../shared/wire/bytes.ts';

/** Application developers and operators through the gateway of a whole local network, where nobody plays anybody. */

const LIAR_ENTRY = fileURLToPath(new URL('../../faults/liar-enclave.ts', import.meta.url));
const PATIENCE_MS = 180_000;
const home = mkdtempSync(join(tmpdir(), 'kms-client-'));

let network: LocalNetwork;
let kms: KmsClient;
let places: GatewayPlaces;
let client: GatewayClient;
let key: NetworkKey;
let user: Wallet;
let friend: Wallet;
let submitter: Wallet;
let userKey: UserKey;

const wallet = (name: string): Wallet =>
  walletOf(fromHex(readFileSync(join(home, 'accounts', `${name}.key`), 'utf8').trim()));
const connect = (options: Partial<GatewayClientOptions> = {}): Promise<GatewayClient> =>
  GatewayClient.connect({ kms, places, timeoutMs: 60_000, ...options });
const scalar = (value: bigint): Promise<Uint8Array> => key.encrypt({ kind: 'scalar', value });
const input = async (value: bigint): Promise<Hex> =>
  client.input(await scalar(value), { account: user, submitter });

beforeAll(async () => {
  // Connectors and the relayer are told of blocks: what they would ask for by themselves comes a minute later.
  network = await LocalNetwork.up({ stateDirectory: home, gateway: true, pollMs: 60_000 });
  kms = await KmsClient.connect({
    genesis: new Uint8Array(readFileSync(network.genesisFile)),
    configurations: new Uint8Array(readFileSync(network.configurationsFile)),
  });
  places = decodeGatewayFile(new Uint8Array(readFileSync(join(home, 'gateway.json'))));
  [user, friend, submitter] = [wallet('user'), wallet('user-2'), wallet('submitter')];
  userKey = await generateUserKey((size) => crypto.getRandomValues(new Uint8Array(size)));
  client = await connect();
}, PATIENCE_MS);

afterAll(async () => {
  kms?.[Symbol.dispose]();
  await network?.down({ erase: true });
  rmSync(home, { recursive: true, force: true });
}, PATIENCE_MS);

/** What an endpoint answers, changed by a test. */
function lying(method: string, change: (result: unknown) => unknown): EndpointOf {
  return (place): Endpoint => {
    const honest = httpEndpoint({ url: place.url });
    return {
      async ask(asked, params, signal) {
        const answer = await honest.ask(asked, params, signal);
        return asked === method && 'result' in answer ? { result: change(answer.result) } : answer;
      },
    };
  };
}

/** Logs of one event, their data changed. */
function lyingAbout(topic: Hex, change: (data: Hex, topics: readonly Hex[]) => object) {
  return lying('eth_getLogs', (result) =>
    (result as readonly { topics: readonly Hex[]; data: Hex }[]).map((log) =>
      isRecord(log) && log.topics[0] === topic ? { ...log, ...change(log.data, log.topics) } : log,
    ),
  );
}

describe('client through the gateway', { timeout: PATIENCE_MS }, () => {
  test('operators in two places command one key together', async () => {
    const wanted = { preset: 'test-4096', galois: 'none' as const };
    const operators = [1, 2, 3].map((i) => wallet(`operator-${i}`));
    const phases = new Set<string>();
    const other = await connect({ onProgress: (phase) => void phases.add(phase) });
    const [here, there] = await Promise.all([
      client.generateKey({ ...wanted, operators: operators.slice(0, 2) }),
      other.generateKey({ ...wanted, operators: operators.slice(2) }),
    ]);
    expect(there.id).toBe(here.id);
    expect([...phases]).toContainEqual(expect.stringContaining('nodes generate a key'));
    key = here;
    await expect(client.generateKey({ ...wanted, operators })).rejects.toMatchObject({ code: 'BAD_INPUT' });
  }, 45_000);

  test('a value goes through every operation, and comes out in public and for one user', async () => {
    const [five, three] = [await input(5n), await input(3n)];
    const by = { account: user };
    const sum = await client.compute({ operation: 'add', a: five, b: three }, by);
    const product = await client.compute({ operation: 'mulPlain', a: sum, value: 4n }, by);
    const lower = await client.compute({ operation: 'switchDown', a: product }, by);
    const open = await client.decrypt(lower, by);
    expect(open).toMatchObject({ value: { kind: 'scalar', value: 32n }, culprits: [] });
    expect(open.agreeing.length).toBeGreaterThanOrEqual(3);
    const mine = await client.userDecrypt(product, { ...by, userKey });
    expect(mine).toMatchObject({ value: { kind: 'scalar', value: 32n }, culprits: [] });
    const stranger = client.compute({ operation: 'negate', a: five }, { account: friend });
    await expect(stranger).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    await client.allow(five, friend.address, by);
    const negated = await client.compute({ operation: 'negate', a: five }, { account: friend });
    await client.publish(negated, { account: friend });
    expect(await client.decrypt(negated, by)).toMatchObject({
      value: { value: key.preset.plainModulus - 5n },
    });
  });

  test('a permit for an application: both must be allowed the handle', async () => {
    const handle = await input(8n);
    const asking = { account: user, userKey, application: friend.address };
    await expect(client.userDecrypt(handle, asking)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    await client.allow(handle, friend.address, { account: user });
    expect(await client.userDecrypt(handle, asking)).toMatchObject({ value: { value: 8n } });
  });

  test('the second host chain is as good as the first', async () => {
    const by = { account: user, hostChainId: places.hosts[1]!.chainId };
    const handle = await client.input(await scalar(6n), { ...by, submitter });
    expect(await client.decrypt(handle, { account: user })).toMatchObject({ value: { value: 6n } });
  });

  test('an endpoint that names another handle than was derived from what was asked is not believed', async () => {
    const [a, b] = [await input(1n), await input(2n)];
    const topic = topicOf(computeAbi, 'Computed');
    const by = { account: user };
    const renamed = await connect({
      endpointOf: lyingAbout(topic, (data, topics) => ({ data, topics: [topics[0], a, ...topics.slice(2)] })),
    });
    const asked = { operation: 'add', a, b } as const;
    await expect(renamed.compute(asked, by)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    // A genuine derivation, of another operation.
    let genuine: { data: Hex; topics: readonly Hex[] } | undefined;
    const watching = await connect({
      endpointOf: lyingAbout(topic, (data, topics) => {
        genuine ??= { data, topics };
        return {};
      }),
    });
    await watching.compute({ operation: 'sub', a, b }, by);
    const swapped = await connect({ endpointOf: lyingAbout(topic, () => genuine!) });
    await expect(swapped.compute(asked, by)).rejects.toMatchObject({ code: 'NOT_PROVEN' });
  });

  test('coprocessors: one that is down is done without, two are not', async () => {
    await network.stopProgram('coprocessor-3', 'SIGKILL');
    expect(await client.decrypt(await input(3n), { account: user })).toMatchObject({ value: { value: 3n } });
    await network.stopProgram('coprocessor-2');
    await expect(input(4n)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await network.startProgram('coprocessor-2');
    await network.startProgram('coprocessor-3');
  });

  test('a node that lies to the user is corrected and named', async () => {
    const handle = await input(9n);
    await network.stopNode(2, { role: 'enclave' });
    await network.startNode(2, { role: 'enclave', entry: LIAR_ENTRY });
    await expect
      .poll(() => client.userDecrypt(handle, { account: user, userKey }), { timeout: 90_000 })
      .toMatchObject({ value: { value: 9n }, agreeing: [1, 3, 4], culprits: [2] });
  });
});
