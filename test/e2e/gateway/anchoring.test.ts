import { bytesToHex, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chainAccount } from '../../../gateway/adapter/account.ts';
import { Chain } from '../../../gateway/adapter/chain.ts';
import { type Endpoint, httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import { gatewayContracts } from '../../../gateway/adapter/network-contracts.ts';
import { Sender } from '../../../gateway/adapter/sender.ts';
import { Anchoring } from '../../../parent/connector/anchoring.ts';
import type { Enclave, EnclaveAnchor } from '../../../parent/connector/enclave-client.ts';
import { KmsError } from '../../../shared/errors.ts';
import { eventually } from '../../adversary/membership/live-nodes.ts';
import { PlayedNetwork, rpc, secretOf } from './played-network.ts';

/** What a connector does with the anchors of its enclave, on a real chain; the enclave is played. */

const PARTY = 3;
const identity = keccak256(toHex(`identity 0 ${PARTY - 1}`), 'bytes');
const QUICK = { firstMs: 5, longestMs: 20 };
const account = chainAccount(bytesToHex(secretOf('anchoring')));

let network: PlayedNetwork;
let version: bigint;
let signer: number;
/** Instead of an answer. */
let failure: KmsError | undefined;
let asked: number;
let logged: string[];
let stop: AbortController;
let isDown: boolean;

beforeAll(async () => {
  network = await PlayedNetwork.start();
  await rpc(network.gateway.chain, 'anvil_setBalance', account.address, '0x56bc75e2d63100000');
  version = 0n;
}, 120_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  version += 10n;
  [signer, failure, asked, logged, stop, isDown] = [PARTY, undefined, 0, [], new AbortController(), false];
});

afterEach(() => stop.abort());

const enclave: Pick<Enclave, 'signAnchor'> = {
  async signAnchor(): Promise<EnclaveAnchor> {
    asked += 1;
    if (failure !== undefined) throw failure;
    const anchor = { identity, version, state: new Uint8Array(32).fill(1), auditHead: new Uint8Array(32) };
    return { anchor, signature: hexToBytes(network.signed('Anchor', anchor, [signer])) };
  },
};

/** @param pace of minutes, in milliseconds */
async function start(pace = { everyMs: 50, latestMs: 500 }): Promise<void> {
  const { chain: place, registry } = network.gateway;
  const http = httpEndpoint({ url: place.url });
  const endpoint: Endpoint = {
    ask: (...question) =>
      isDown ? Promise.reject(new KmsError('UNAVAILABLE', 'down')) : http.ask(...question),
  };
  const chain = new Chain(BigInt(place.chainId), endpoint);
  const log = (_level: string, event: string): void => void logged.push(event);
  const gateway = await gatewayContracts(chain, registry.address.toLowerCase() as Hex);
  const sender = new Sender({
    ...{ chain, account, log, signal: stop.signal, pollMs: 10, backoff: QUICK },
  });
  const ports = { enclave: enclave as Enclave, party: PARTY, sender, log, signal: stop.signal };
  void new Anchoring({ ...ports, network: { gateway } }, pace).run();
}

const known = async (): Promise<bigint> => {
  const args = [bytesToHex(identity)];
  return (await network.anybody.read({
    to: network.gateway.registry,
    name: 'anchorVersions',
    args,
  })) as bigint;
};
const anchoredAt = (which: bigint): Promise<void> => eventually(async () => (await known()) === which);
const turns = (count: number): Promise<void> => {
  const until = asked + count;
  return eventually(async () => asked >= until);
};
const times = (event: string): number => logged.filter((one) => one === event).length;

describe('anchoring', { timeout: 60_000 }, () => {
  test('anchoring: at the start, and whenever a state stays, once', async () => {
    await start();
    await anchoredAt(version);
    version += 1n;
    await anchoredAt(version);
    await turns(10);
    expect(times('anchored')).toBe(2);
    expect(times('transaction-mined')).toBe(2);
  });

  test('anchoring: a state that keeps changing waits, and not for ever', async () => {
    await start({ everyMs: 50, latestMs: 2_000 });
    await anchoredAt(version);
    const first = version;
    const changing = setInterval(() => version++, 10);
    await turns(15);
    expect(await known()).toBe(first);
    await eventually(async () => (await known()) > first);
    clearInterval(changing);
    await anchoredAt(version);
    expect(times('anchored')).toBeLessThanOrEqual(4);
  });

  test('anchoring: a connector that starts again posts nothing that is there', async () => {
    await start();
    await anchoredAt(version);
    stop.abort();
    [stop, logged] = [new AbortController(), []];
    await start();
    await turns(10);
    expect(logged).toEqual([]);
  });

  test('anchoring: an enclave or a chain that is away is said once, and waited for', async () => {
    await start();
    await anchoredAt(version);
    failure = new KmsError('UNAVAILABLE', 'away');
    await turns(10);
    expect(times('anchor-delayed')).toBe(1);
    failure = undefined;
    version += 1n;
    await anchoredAt(version);
    // The connector knows it too: a transaction under way would wait for the chain.
    await turns(2);
    isDown = true;
    version += 1n;
    await turns(10);
    expect(times('anchor-delayed')).toBe(2);
    isDown = false;
    await anchoredAt(version);
  });

  test('anchoring: what the registry does not take is said once, costs nothing, and is tried again', async () => {
    signer = 2;
    const balance = await rpc(network.gateway.chain, 'eth_getBalance', account.address, 'latest');
    await start();
    await turns(10);
    expect(times('anchor-refused')).toBe(1);
    expect(await rpc(network.gateway.chain, 'eth_getBalance', account.address, 'latest')).toBe(balance);
    signer = PARTY;
    await anchoredAt(version);
  });

  test('anchoring: an anchor whose block is no more is posted again', async () => {
    const before = await rpc(network.gateway.chain, 'evm_snapshot');
    await start();
    await anchoredAt(version);
    await rpc(network.gateway.chain, 'evm_revert', before);
    expect(await known()).toBeLessThan(version);
    await anchoredAt(version);
  });
});
