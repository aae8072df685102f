import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Address,
  bytesToHex,
  concatHex,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  keccak256,
  parseAbi,
  toHex,
} from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ChainAccount, chainAccount } from '../../../gateway/adapter/account.ts';
import { Chain } from '../../../gateway/adapter/chain.ts';
import { type Endpoint, httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import type { ChainLog } from '../../../gateway/adapter/log.ts';
import { gatewayContracts, hostContracts } from '../../../gateway/adapter/network-contracts.ts';
import { Sender } from '../../../gateway/adapter/sender.ts';
import { committeeChangeFiles } from '../../../gateway/relayer/committee-changes.ts';
import type { HostSide, RelayerNetwork } from '../../../gateway/relayer/network.ts';
import { Relayer } from '../../../gateway/relayer/relayer.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import type { ChainPlace } from '../../../infra/local/chains/anvil.ts';
import { command, decide } from '../../../infra/local/chains/gateway.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { KmsError } from '../../../shared/errors.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import { signDigest } from '../../../shared/gateway/signature.ts';
import {
  type AskedArgs,
  addressOfSecret,
  eventsOf,
  type GatewayRequestArgs,
  PlayedNetwork,
  rpc,
  secretsOf,
  T,
  word,
} from './played-network.ts';

/** Relayers between real local chains, side by side, killed and replaced. The committee is played. */

const QUICK = { firstMs: 20, longestMs: 200 };
const RESULT: Hex = '0x0000000000000007';

let played: PlayedNetwork;
let host: LocalHost;
let asking: LocalAccount;
let directory: string;
let stopAll: AbortController;
let events: string[];
let accounts = 0;
let inputs = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-relayer-'));
  played = await PlayedNetwork.start();
  host = played.hosts[0]!;
  asking = new LocalAccount(host.chain, 5);
}, 120_000);

afterAll(async () => {
  await played?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

beforeEach(() => {
  stopAll = new AbortController();
  events = [];
});

afterEach(() => stopAll.abort());

interface RunningRelayer {
  readonly account: ChainAccount;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

interface RelayerChanges {
  /** Where it keeps its state; the same one after a restart. */
  readonly state?: string;
  readonly account?: ChainAccount;
  /** Wraps every endpoint. */
  readonly through?: (endpoint: Endpoint, kill: () => void) => Endpoint;
  readonly onlyHost?: boolean;
}

async function funded(): Promise<ChainAccount> {
  const account = chainAccount(toHex(0x5e1a + accounts++, { size: 32 }));
  for (const chain of [played.gateway.chain, ...played.chains.hosts]) {
    await rpc(chain, 'anvil_setBalance', account.address, '0x56bc75e2d63100000');
  }
  return account;
}

async function startRelayer(changes: RelayerChanges = {}): Promise<RunningRelayer> {
  const account = changes.account ?? (await funded());
  const one = new AbortController();
  const signal = AbortSignal.any([one.signal, stopAll.signal]);
  const chainOf = ({ chainId, url }: ChainPlace): Chain => {
    const endpoint = httpEndpoint({ url });
    return new Chain(BigInt(chainId), changes.through?.(endpoint, () => one.abort()) ?? endpoint);
  };
  const log: ChainLog = (_, event) => void events.push(event);
  const senderOf = (chain: Chain): Sender =>
    new Sender({ chain, account, log, signal, pollMs: 10, backoff: QUICK });
  const ended = (async () => {
    // As the program does, but an endpoint that kills ends it here too.
    const plain = new Chain(
      BigInt(played.gateway.chain.chainId),
      httpEndpoint({ url: played.gateway.chain.url }),
    );
    const registry = played.gateway.registry.address.toLowerCase() as Hex;
    const known = await gatewayContracts(plain, registry);
    const chain = chainOf(played.gateway.chain);
    const contracts = Object.fromEntries(
      Object.entries(known).map(([name, of]) => [name, name === 'chain' ? chain : { ...of, chain }]),
    ) as unknown as typeof known;
    const hosts = new Map<bigint, HostSide>();
    for (const { chain: local } of played.hosts.slice(0, changes.onlyHost ? 1 : 2)) {
      const hostChain = chainOf(local);
      const at = await hostContracts(
        known,
        new Chain(BigInt(local.chainId), httpEndpoint({ url: local.url })),
      );
      const side = Object.fromEntries(
        Object.entries(at).map(([name, of]) => [
          name,
          name === 'chain' ? hostChain : { ...of, chain: hostChain },
        ]),
      ) as unknown as typeof at;
      hosts.set(BigInt(local.chainId), { ...side, sender: senderOf(hostChain) });
    }
    const network: RelayerNetwork = {
      ...{ gateway: { ...contracts, sender: senderOf(chain), startBlock: 0n }, hosts, log },
      ...{ committeeChanges: committeeChangeFiles(directory), lifetimeS: 60 },
      ...{ maxFeePerHandleWei: 10n ** 15n, callbackFailures: new Map() },
    };
    const relayer = await Relayer.open({
      ...{ network, signal, backoff: QUICK, pollMs: 10 },
      stateDirectory: join(directory, changes.state ?? `state-${accounts}-${account.address}`),
      gatewayFinality: { confirmations: 1 },
      follow: new Map(
        [...hosts.keys()].map((id) => [id, { startBlock: 0n, finality: { confirmations: 1 } }]),
      ),
    });
    await relayer.run();
  })();
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    one.abort();
    await ended;
  };
  return { account, ended, stop };
}

/** A fresh handle and a request to decrypt it. @param isKnown whether coprocessors know it already */
async function freshRequest(
  isKnown = true,
  by = asking,
): Promise<{ readonly asked: AskedArgs; readonly commit: () => Promise<void> }> {
  const digest = keccak256(toHex(`input ${inputs++}`));
  const computed = await played.input(host, by, digest);
  const asked = await played.ask(host, by, computed.handle);
  const commit = (): Promise<void> => played.commitPublic(host, computed, digest);
  if (isKnown) await commit();
  return { asked, commit };
}

async function carried(asked: AskedArgs): Promise<readonly GatewayRequestArgs[]> {
  return (await played.requests()).filter(({ reference_ }) => reference_ === asked.slot);
}

/** Until relayers have asked the gateway. */
async function expectCarried(asked: AskedArgs, count = 1): Promise<GatewayRequestArgs> {
  await expect.poll(async () => (await carried(asked)).length, { timeout: 20_000 }).toBe(count);
  return (await carried(asked)).at(-1)!;
}

async function countOf(name: string, { id }: AskedArgs): Promise<number> {
  const all = await eventsOf<{ readonly id: bigint }>(asking, host.oracle, name);
  return all.filter((event) => event.id === id).length;
}

async function expectDone(asked: AskedArgs): Promise<void> {
  const isExecuted = (): Promise<unknown> =>
    asking.read({ to: host.oracle, name: 'executed', args: [asked.id] });
  await expect.poll(isExecuted, { timeout: 20_000 }).toBe(true);
  expect(await asking.read({ to: host.oracle, name: 'resultOf', args: [asked.id] })).toBe(RESULT);
  expect(await countOf('ResultDelivered', asked)).toBe(1);
  expect(await countOf('CallbackSucceeded', asked)).toBe(1);
}

const keyOn = ({ deployer, keyring }: LocalHost): Promise<unknown> =>
  deployer.read({ to: keyring, name: 'keys', args: [played.keyId] });

describe('relayer', () => {
  test('relayer: a key, and its states, are told to every host chain by two at once', async () => {
    await Promise.all([startRelayer(), startRelayer()]);
    await played.makeKey();
    for (const one of played.hosts) {
      await expect.poll(() => keyOn(one), { timeout: 20_000 }).toMatchObject({ state: 2, preset: 2 });
      expect(await eventsOf(one.deployer, one.keyring, 'KeyAdded')).toHaveLength(1);
    }
  });

  test('relayer: several carry one request once, answer it once, call back once', async () => {
    await Promise.all([startRelayer(), startRelayer(), startRelayer()]);
    const { asked } = await freshRequest();
    const request = await expectCarried(asked);
    await played.answer(request, RESULT);
    await expectDone(asked);
    expect(await carried(asked)).toHaveLength(1);
  });

  test('relayer: a request whose handle nobody knows yet waits for the coprocessors', async () => {
    await startRelayer();
    const { asked, commit } = await freshRequest(false);
    await expect.poll(() => events.filter((event) => event === 'transaction-mined')).toEqual([]);
    expect(await carried(asked)).toEqual([]);
    await commit();
    await played.answer(await expectCarried(asked), RESULT);
    await expectDone(asked);
  });

  test('relayer: answers of a batch are delivered with their proofs', async () => {
    await startRelayer();
    const all = [];
    for (let i = 0; i < 3; i++) all.push((await freshRequest()).asked);
    const requests = [];
    for (const asked of all) requests.push(await expectCarried(asked));
    await played.answerBatch(requests.map((request) => [request, RESULT] as const));
    for (const asked of all) await expectDone(asked);
    expect(await eventsOf(asking, host.verifier, 'BatchVerified')).toHaveLength(1);
  });

  test('relayer: killed midway, another one finishes its work', async () => {
    const first = await startRelayer();
    const { asked } = await freshRequest();
    const request = await expectCarried(asked);
    await first.stop();
    await played.answer(request, RESULT);
    await startRelayer();
    await expectDone(asked);
  });

  test('relayer: what was answered and delivered while all were away is finished', async () => {
    const { asked } = await freshRequest();
    const first = await startRelayer({ state: 'away' });
    const request = await expectCarried(asked);
    await first.stop();
    await played.answer(request, RESULT);
    await startRelayer({ state: 'away', account: first.account });
    await expectDone(asked);
    await expect.poll(() => readdir(join(directory, 'away/work')), { timeout: 20_000 }).toEqual([]);
  });

  test('relayer: killed at every step, nothing is lost and nothing is done twice', async () => {
    const account = await funded();
    const { asked } = await freshRequest();
    let kills = 0;
    let isAnswered = false;
    // Each life ends at a later request to a chain than the one before; sometimes before it is heard, sometimes after.
    for (let life = 1; life <= 400; life++) {
      let count = 0;
      const limit = 3 + life;
      const through = (inner: Endpoint, kill: () => void): Endpoint => ({
        async ask(method, params, signal) {
          // Looking for new blocks is no step.
          if (method !== 'eth_getBlockByNumber' && method !== 'eth_chainId') count++;
          if (count < limit) return inner.ask(method, params, signal);
          if (life % 2 === 0) await inner.ask(method, params);
          if (count === limit) kills++;
          kill();
          throw new KmsError('UNAVAILABLE', 'killed');
        },
      });
      const relayer = await startRelayer({ state: 'killed', account, through, onlyHost: true });
      const isDone = async (): Promise<boolean> =>
        (await asking.read({ to: host.oracle, name: 'executed', args: [asked.id] })) === true;
      await Promise.race([relayer.ended, pollDone(isDone)]);
      await relayer.stop();
      const [request] = await carried(asked);
      if (request !== undefined && !isAnswered) {
        await played.answer(request, RESULT);
        isAnswered = true;
      }
      if (await isDone()) break;
    }
    expect(kills).toBeGreaterThan(6);
    await expectDone(asked);
    expect(await carried(asked)).toHaveLength(1);
  }, 300_000);

  test('relayer: a request that nobody answered in time is ended and asked anew', async () => {
    await startRelayer();
    const { asked } = await freshRequest();
    await expectCarried(asked);
    await rpc(played.gateway.chain, 'evm_increaseTime', 120);
    await rpc(played.gateway.chain, 'evm_mine');
    const second = await expectCarried(asked, 2);
    await played.answer(second, RESULT);
    await expectDone(asked);
  });

  test('relayer: a request that a reorganisation undid is forgotten, the one in its place is carried', async () => {
    // Whose transactions are undone has no other business: its nonces go back.
    const before = await asking.client.getBlockNumber({ cacheTime: 0 });
    const { asked: gone } = await freshRequest(false, new LocalAccount(host.chain, 6));
    const first = await startRelayer();
    await expect
      .poll(async () => (await readdir(directory, { recursive: true })).join(' '))
      .toContain(gone.slot.slice(2));
    const depth = (await asking.client.getBlockNumber({ cacheTime: 0 })) - before;
    await rpc(host.chain, 'anvil_reorg', Number(depth), []);
    // Given by decree, not by a transaction: gone with its block.
    await rpc(host.chain, 'anvil_setBalance', first.account.address, '0x56bc75e2d63100000');
    const { asked } = await freshRequest();
    await played.answer(await expectCarried(asked), RESULT);
    await expectDone(asked);
    await first.stop();
    expect(await carried(gone)).toEqual([]);
    expect(events).toContain('request-undone');
  });

  test('relayer: a callback that fails is tried again, then left to be pulled', async () => {
    const digest = keccak256(toHex(`input ${inputs++}`));
    const computed = await played.input(host, asking, digest);
    const refusing = await refusingConsumer(host);
    await asking.send({ to: host.accessControl, name: 'allow', args: [computed.handle, refusing] });
    const asked = await askThrough(refusing, computed.handle);
    await played.commitPublic(host, computed, digest);
    await startRelayer();
    await played.answer(await expectCarried(asked), RESULT);
    await expect.poll(() => events, { timeout: 20_000 }).toContain('work-given-up');
    expect(await countOf('CallbackFailed', asked)).toBe(3);
    expect(await asking.read({ to: host.oracle, name: 'resultOf', args: [asked.id] })).toBe(RESULT);
  });

  test('relayer: what costs more than it may is left to others', async () => {
    const { decryptions } = played.gateway;
    await decide(played.gateway, decryptions, 'setTerms', [2n * 10n ** 15n, 1000n]);
    await startRelayer();
    const { asked } = await freshRequest();
    await expect.poll(() => events, { timeout: 20_000 }).toContain('fee-too-high');
    expect(await carried(asked)).toEqual([]);
    await decide(played.gateway, decryptions, 'setTerms', [10n ** 12n, 1000n]);
    const request = await expectCarried(asked);
    await played.answer(request, RESULT);
    await expectDone(asked);
  });

  test('relayer: a handle is brought to another chain', async () => {
    await Promise.all([startRelayer(), startRelayer()]);
    const other = played.hosts[1]!;
    const digest = keccak256(toHex(`input ${inputs++}`));
    const computed = await played.input(host, asking, digest);
    const { handle, derivation } = computed;
    await played.commitPublic(host, computed, digest);
    const [from, to] = [host, other].map(({ chain }) => BigInt(chain.chainId));
    const { decryptions } = played.gateway;
    const fee = (await played.anybody.read({ to: decryptions, name: 'feePerHandle' })) as bigint;
    const account = asking.address;
    await played.anybody.send({
      to: decryptions,
      name: 'requestTransfer',
      args: [handle, from, to, account, 600n],
      value: fee,
    });
    const asked = await eventsOf<{ readonly request: GatewayRequestArgs }>(
      played.anybody,
      decryptions,
      'HandleTransferRequested',
    );
    const { request } = asked.at(-1)!;
    const transfer = {
      ...{ requestId: request.id, handle, originChainId: from!, destinationChainId: to!, account },
      ...{ keyId: played.keyId, kind: 1, level: derivation.level, bound: derivation.bound, epoch: 0n },
    };
    const typed = {
      ...transfer,
      handle: word(handle),
      account: hexToBytes(account),
      keyId: word(played.keyId),
    };
    const signatures = played.signed('HandleTransfer', typed);
    await played.anybody.send({
      to: decryptions,
      name: 'answerTransfer',
      args: [request, transfer, signatures],
    });
    const isThere = (): Promise<unknown> =>
      other.deployer.read({ to: other.accessControl, name: 'isAllowed', args: [handle, account] });
    await expect.poll(isThere, { timeout: 20_000 }).toBe(true);
    // Two that admit at the same time do the same twice: it changes nothing.
    expect((await eventsOf(other.deployer, other.compute, 'HandleAdmitted')).length).toBeLessThanOrEqual(2);
  });

  test("relayer: hosts are handed over to a new committee once the old one's word is there", async () => {
    await Promise.all([startRelayer(), startRelayer()]);
    await changeEpoch();
    for (const { deployer, verifier } of played.hosts) {
      expect(await deployer.read({ to: verifier, name: 'currentEpoch' })).toBe(0n);
    }
    const signers = secretsOf(1).map(addressOfSecret);
    const change = { fromEpoch: 0n, toEpoch: 1n, t: T, graceSeconds: 600n };
    const typed = { ...change, signers: signers.map((signer) => hexToBytes(signer)) };
    const file = {
      ...{ fromEpoch: '0x0', toEpoch: '0x1', t: '0x1', graceSeconds: '0x258', signers },
      signatures: played.signed('CommitteeChange', typed),
    };
    await writeFile(join(directory, 'committee-change-0.json'), JSON.stringify(file));
    for (const { deployer, verifier } of played.hosts) {
      const epochOf = (): Promise<unknown> => deployer.read({ to: verifier, name: 'currentEpoch' });
      await expect.poll(epochOf, { timeout: 20_000 }).toBe(1n);
    }
  });
});

async function pollDone(isDone: () => Promise<boolean>): Promise<void> {
  while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** A contract that passes on what it is sent to the oracle, and refuses what the oracle calls. */
async function refusingConsumer({ oracle, deployer }: LocalHost): Promise<Address> {
  const runtime = concatHex([
    ...(['0x33', '0x73', oracle.address, '0x14', '0x603c', '0x57'] as const),
    ...(['0x36', '0x6000', '0x6000', '0x37'] as const),
    ...([
      '0x6000',
      '0x6000',
      '0x36',
      '0x6000',
      '0x6000',
      '0x73',
      oracle.address,
      '0x5a',
      '0xf1',
      '0x00',
    ] as const),
  ]);
  const at = (runtime.length - 2) / 2;
  const code = concatHex([runtime.replace('603c57', `60${at.toString(16)}57`) as Hex, '0x5b60006000fd']);
  const size = toHex((code.length - 2) / 2, { size: 1 });
  const bytecode = concatHex(['0x60', size, '0x600c60003960', size, '0x6000f3', code]);
  return (await deployer.deploy({ name: 'refusing', abi: [], bytecode, runtime: '0x', storage: [] })).address;
}

async function askThrough(consumer: Address, handle: Hex): Promise<AskedArgs> {
  // What the oracle returns is not passed on.
  const abi = parseAbi(['function request(bytes32[], bytes4, uint32)']);
  const args = [[handle], '0x01020304', 100_000];
  await asking.send({ to: { address: consumer, abi }, name: 'request', args, gas: 2_000_000n });
  const asked = await eventsOf<AskedArgs>(asking, host.oracle, 'DecryptionRequested');
  expect(asked.at(-1)?.request.handles).toEqual([handle]);
  return asked.at(-1)!;
}

/** The registry goes on to epoch 1. */
async function changeEpoch(): Promise<void> {
  const { gateway, anybody } = played;
  await decide(gateway, gateway.registry, 'proposeEpoch', [1n, T, played.nodesOf(1)]);
  await played.enrolAll(1, 0, 3);
  const components = [
    { type: 'uint64', name: 'toEpoch' },
    { type: 'bytes32[]', name: 'keys' },
  ];
  const payload = encodeAbiParameters(
    [{ type: 'tuple', components }],
    [{ toEpoch: 1n, keys: [played.keyId] }],
  );
  const asked = await command(gateway, 4, payload);
  const keysHash = keccak256(played.keyId);
  for (const party of [1, 2, 3]) {
    const change = {
      ...{ commandId: BigInt(String(asked.id)), fromEpoch: 0n, toEpoch: 1n, party },
      ...{ keysHash, served: 15n, confirmed: true },
    };
    const digest = typedDigest(played.domain, 'EpochChange', { ...change, keysHash: word(keysHash) });
    const types = ['uint256', 'uint64', 'uint64', 'uint8', 'bytes32', 'uint256', 'bool'];
    const statement = encodeAbiParameters(
      types.map((type) => ({ type })),
      Object.values(change),
    );
    await played.respond(asked, statement, bytesToHex(signDigest(digest, secretsOf(1)[party - 1]!)));
  }
  expect(await anybody.read({ to: gateway.registry, name: 'currentEpoch' })).toBe(1n);
}
