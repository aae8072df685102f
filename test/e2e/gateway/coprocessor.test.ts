import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex, type Hex, sha256, toHex } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Encryptor } from '../../../client/seal/encryptor.ts';
import { chainAccount } from '../../../gateway/adapter/account.ts';
import { Chain } from '../../../gateway/adapter/chain.ts';
import { type Endpoint, httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import { gatewayContracts, hostContracts } from '../../../gateway/adapter/network-contracts.ts';
import { Sender } from '../../../gateway/adapter/sender.ts';
import { Coprocessor, type FollowedHost } from '../../../gateway/coprocessor/coprocessor.ts';
import { FileEnvelopes } from '../../../gateway/coprocessor/envelope-store.ts';
import { Uploads } from '../../../gateway/coprocessor/uploads.ts';
import { LocalAccount } from '../../../infra/local/chains/account.ts';
import type { LocalHost } from '../../../infra/local/chains/host.ts';
import { KmsError } from '../../../shared/errors.ts';
import { openEnvelope } from '../../../shared/fhe/envelope.ts';
import { noble } from '../../../shared/noble.ts';
import { type Fixture, fixture } from '../../unit/fhe/fixture.ts';
import { type ComputedArgs, eventsOf, lastEvent, PlayedNetwork } from './played-network.ts';

/** Coprocessors of real local chains with real ciphertexts; SEAL's own decryptor is the judge of what they computed. */

const QUICK = { firstMs: 20, longestMs: 200 };
const ZERO: Hex = `0x${'0'.repeat(64)}`;
const NOBODY: Hex = `0x${'0'.repeat(40)}`;
const MNEMONIC = 'test test test test test test test test test test test junk';

let played: PlayedNetwork;
let host: LocalHost;
let app: LocalAccount;
let directory: string;
let stopAll: AbortController;
let events: string[];
let at: Fixture;
let encryptor: Encryptor;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-coprocessor-'));
  at = await fixture('test-4096', 715);
  encryptor = await Encryptor.create(at.preset, at.keyId, at.bytes.publicKey);
  played = await PlayedNetwork.start();
  [played.keyId, played.preset] = [`0x${at.keyId}`, 1];
  await played.makeKeyEverywhere();
  host = played.hosts[0]!;
  app = new LocalAccount(host.chain, 8);
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

interface Running {
  readonly url: string;
  readonly store: FileEnvelopes;
  readonly files: string;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** @param index 0..2, of the registry's coprocessors @param state survives restarts */
async function start(
  index: number,
  state: string,
  through: (endpoint: Endpoint, kill: () => void) => Endpoint = (endpoint) => endpoint,
  startBlock = 0n,
): Promise<Running> {
  const one = new AbortController();
  const signal = AbortSignal.any([one.signal, stopAll.signal]);
  const secret = mnemonicToAccount(MNEMONIC, { addressIndex: 4 + index }).getHdKey().privateKey!;
  const log = (_: string, event: string): void => void events.push(event);
  const chainOf = (id: number, url: string): Chain =>
    new Chain(
      BigInt(id),
      through(httpEndpoint({ url }), () => one.abort()),
    );
  const { gateway: local } = played;
  const chain = chainOf(local.chain.chainId, local.chain.url);
  const stateDirectory = join(directory, state);
  const files = join(stateDirectory, 'envelopes');
  const store = new FileEnvelopes(files);
  let coprocessor: Coprocessor | undefined;
  const uploads = await Uploads.open({
    directory: join(stateDirectory, 'uploads'),
    onUpload: (digest) => coprocessor?.uploaded(digest),
  });
  const port = await uploads.listen(0, '127.0.0.1');
  const ended = (async () => {
    const gateway = await gatewayContracts(chain, local.registry.address.toLowerCase() as Hex);
    const hosts: FollowedHost[] = [];
    for (const { chain: of } of played.hosts) {
      const known = await hostContracts(gateway, chainOf(of.chainId, of.url));
      hosts.push({ ...known, startBlock, finality: { confirmations: 1 } });
    }
    coprocessor = await Coprocessor.open({
      ...{ gateway, gatewayStartBlock: 0n, hosts, store, uploads, stateDirectory, log, signal },
      ...{ backoff: QUICK, pollMs: 10 },
      keys: { keysOf: async () => ({ preset: at.preset, keys: at.bytes }) },
      sender: new Sender({
        chain,
        account: chainAccount(bytesToHex(secret)),
        log,
        signal,
        pollMs: 10,
        backoff: QUICK,
      }),
    });
    await coprocessor.run();
  })();
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    one.abort();
    await ended.catch(() => undefined);
    uploads.close();
  };
  return { url: `http://127.0.0.1:${port}`, store, files, ended, stop };
}

async function upload({ url }: Running, envelope: Uint8Array, digest = sha256(envelope)): Promise<number> {
  const { status } = await fetch(`${url}/v1/envelopes/${digest.slice(2)}`, {
    method: 'PUT',
    body: envelope.slice(),
  });
  return status;
}

/** An input of the application, brought to these coprocessors. */
async function input(value: bigint, to: readonly Running[]): Promise<Hex> {
  const envelope = encryptor.encrypt({ kind: 'scalar', value });
  for (const one of to) expect(await upload(one, envelope)).toBe(204);
  return (await played.input(host, app, sha256(envelope))).handle;
}

async function compute(name: string, ...args: readonly unknown[]): Promise<Hex> {
  await app.send({ to: host.compute, name, args });
  return (await lastEvent<ComputedArgs>(app, host.compute, 'Computed')).handle;
}

const onGateway = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
  played.anybody.read({ to: played.gateway.ciphertexts, name, args });

async function expectCommitted(handle: Hex): Promise<void> {
  await expect.poll(() => onGateway('commitments', handle), { timeout: 30_000 }).not.toBe(ZERO);
}

/** By SEAL's own decryptor. */
async function decrypted({ store }: Running, handle: Hex): Promise<bigint> {
  const envelope = await store.get(handle);
  return at.decrypt(openEnvelope(envelope!, noble).body)[0]!;
}

interface Committed {
  readonly ciphertext: { readonly digest: Hex; readonly level: number; readonly bound: bigint };
}

async function committedOf(handle: Hex): Promise<Committed['ciphertext']> {
  const { anybody, gateway } = played;
  const mine = async (): Promise<readonly Committed[]> => {
    const all = await eventsOf<Committed & { readonly handle: Hex }>(
      anybody,
      gateway.ciphertexts,
      'CiphertextCommitted',
    );
    return all.filter((event) => event.handle === handle);
  };
  // The chain's index of events follows its state.
  await expect.poll(mine).toHaveLength(1);
  return (await mine())[0]!.ciphertext;
}

describe('coprocessor', () => {
  test('coprocessor: two agree bit for bit on every operation, and their majority commits it', async () => {
    const both = [await start(0, 'a'), await start(1, 'b')] as const;
    const [five, three] = [await input(5n, both), await input(3n, both)];
    const p = at.preset.plainModulus;
    const expected: (readonly [Hex, bigint])[] = [
      [five, 5n],
      [await compute('add', five, three), 8n],
      [await compute('sub', five, three), 2n],
      [await compute('mul', five, three), 15n],
      [await compute('addPlain', five, 40n), 45n],
      [await compute('mulPlain', five, 9n), 45n],
      [await compute('mulPlain', five, p - 1n), p - 5n],
      [await compute('negate', three), p - 3n],
      [await compute('switchDown', five), 5n],
    ];
    const sum = expected[1]![0];
    expected.push([await compute('add', sum, five), 13n]);
    for (const [handle, value] of expected) {
      await expectCommitted(handle);
      for (const one of both) expect(await decrypted(one, handle)).toBe(value);
      const envelopes = await Promise.all(both.map(({ store }) => store.get(handle)));
      expect(Buffer.from(envelopes[0]!).equals(Buffer.from(envelopes[1]!))).toBe(true);
      const { digest, level, bound } = await committedOf(handle);
      expect(digest).toBe(sha256(envelopes[0]!));
      expect(openEnvelope(envelopes[0]!, noble).bound).toEqual({ level, bound });
      expect(await onGateway('conflicts', handle)).toBe(ZERO);
    }
    expect(await readdir(join(directory, 'a/uploads'))).toEqual([]);
  });

  test('coprocessor: access is mirrored as it changes, on the chain where it changes', async () => {
    const two = [await start(0, 'a'), await start(1, 'b')];
    const handle = await input(7n, two);
    const friend = played.anybody.address;
    const chainId = BigInt(host.chain.chainId);
    const allowed = (account: Hex): Promise<unknown> => onGateway('isAllowed', handle, chainId, account);
    await expect.poll(() => allowed(app.address), { timeout: 20_000 }).toBe(true);
    expect(await allowed(friend)).toBe(false);
    await app.send({ to: host.accessControl, name: 'allow', args: [handle, friend] });
    await expect.poll(() => allowed(friend), { timeout: 20_000 }).toBe(true);
    await app.send({ to: host.accessControl, name: 'revoke', args: [handle, friend] });
    await expect.poll(() => allowed(friend), { timeout: 20_000 }).toBe(false);
    expect(await onGateway('access', handle, chainId, friend)).toBe(4n);
    await app.send({ to: host.accessControl, name: 'publish', args: [handle] });
    await expect.poll(() => allowed(NOBODY), { timeout: 20_000 }).toBe(true);
  });

  test('coprocessor: a minority that lies first changes nothing, and is on record', async () => {
    const envelope = encryptor.encrypt({ kind: 'scalar', value: 1n });
    const computed = await played.input(host, app, sha256(envelope));
    const { handle, provenance, derivation } = computed;
    const { level, bound, kind } = derivation;
    const lie = {
      handle,
      keyId: played.keyId,
      digest: sha256(toHex('a lie')),
      kind,
      level,
      bound,
      provenance,
    };
    const liar = played.gateway.coprocessors[2]!;
    await liar.send({ to: played.gateway.ciphertexts, name: 'commit', args: [[lie], []] });
    const two = [await start(0, 'a'), await start(1, 'b')];
    for (const one of two) await upload(one, envelope);
    await expectCommitted(handle);
    expect((await committedOf(handle)).digest).toBe(sha256(envelope));
    expect(await onGateway('conflicts', handle)).not.toBe(ZERO);
  });

  test('coprocessor: an honest one speaks up against a majority that lied', async () => {
    const envelope = encryptor.encrypt({ kind: 'scalar', value: 1n });
    const { handle, provenance, derivation } = await played.input(host, app, sha256(envelope));
    const { level, bound, kind } = derivation;
    const lie = {
      handle,
      keyId: played.keyId,
      digest: sha256(toHex('a lie')),
      kind,
      level,
      bound,
      provenance,
    };
    for (const liar of played.gateway.coprocessors.slice(1)) {
      await liar.send({ to: played.gateway.ciphertexts, name: 'commit', args: [[lie], []] });
    }
    expect(await onGateway('conflicts', handle)).toBe(ZERO);
    await upload(await start(0, 'a'), envelope);
    await expect.poll(() => onGateway('conflicts', handle), { timeout: 20_000 }).not.toBe(ZERO);
  });

  test('coprocessor: an input that was not brought is waited for, and so is all that needs it', async () => {
    const two = [await start(0, 'a'), await start(1, 'b')];
    const envelope = encryptor.encrypt({ kind: 'scalar', value: 20n });
    const { handle } = await played.input(host, app, sha256(envelope));
    const twice = await compute('add', handle, handle);
    const other = await input(2n, two);
    await expectCommitted(other);
    expect(await onGateway('commitments', handle)).toBe(ZERO);
    for (const one of two) await upload(one, envelope);
    await expectCommitted(handle);
    await expectCommitted(twice);
    expect(await decrypted(two[0]!, twice)).toBe(40n);
  });

  test('coprocessor: uploads have the digest that they say, and a limit', async () => {
    const one = await start(0, 'uploads');
    const bytes = new TextEncoder().encode('no envelope');
    expect(await upload(one, bytes, ZERO)).toBe(422);
    expect(await readdir(join(directory, 'uploads/uploads')).catch(() => [])).toEqual([]);
    const large = new Uint8Array((4 << 20) + 1);
    expect(await upload(one, large).catch(() => 413)).toBe(413);
    expect((await fetch(`${one.url}/v1/envelopes/xyz`, { method: 'PUT', body: 'x' })).status).toBe(404);
    expect((await fetch(`${one.url}/v1/envelopes/${'0'.repeat(64)}`)).status).toBe(405);
    for (let i = 0; i < 66; i++) expect(await upload(one, new TextEncoder().encode(`junk ${i}`))).toBe(204);
    const held = await readdir(join(directory, 'uploads/uploads'));
    expect(held).toHaveLength(64);
    expect(held).toContain(sha256(new TextEncoder().encode('junk 65')).slice(2));
  });

  test('coprocessor: bytes that are no input, or of another kind or bound, give no ciphertext, nor what needs them', async () => {
    const two = [await start(0, 'a'), await start(1, 'b')];
    const junk = new TextEncoder().encode('no envelope at all');
    const vector = encryptor.encrypt({ kind: 'vector', values: BigUint64Array.of(1n) });
    const handles: Hex[] = [];
    for (const bytes of [junk, vector]) {
      for (const one of two) await upload(one, bytes);
      handles.push((await played.input(host, app, sha256(bytes))).handle);
    }
    handles.push(await compute('negate', handles[0]));
    const good = await input(3n, two);
    // No encryption: everybody sees that it is zero.
    handles.push(await compute('sub', good, good));
    await expectCommitted(await compute('negate', good));
    await expect
      .poll(() => events.filter((event) => event === 'handle-without-ciphertext').length, { timeout: 20_000 })
      .toBe(8);
    for (const handle of handles) expect(await onGateway('commitments', handle)).toBe(ZERO);
  });

  test('coprocessor: an envelope that was changed in the store is never used', async () => {
    const [one, two] = [await start(0, 'a'), await start(1, 'b')];
    const handle = await input(9n, [one, two]);
    await expectCommitted(handle);
    const path = join(one.files, handle.slice(2));
    await expect.poll(() => readFile(path).catch(() => undefined)).toBeDefined();
    const honest = await readFile(path);
    const other = encryptor.encrypt({ kind: 'scalar', value: 1000n });
    await writeFile(path, other);
    const sum = await compute('addPlain', handle, 1n);
    await expect.poll(() => events, { timeout: 20_000 }).toContain('work-failed');
    expect(await onGateway('commitments', sum)).toBe(ZERO);
    await writeFile(path, honest);
    await expectCommitted(sum);
    expect(await decrypted(one, sum)).toBe(10n);
  });

  test('coprocessor: killed at every step, it loses nothing and says nothing twice', async () => {
    const envelope = encryptor.encrypt({ kind: 'scalar', value: 6n });
    // Not what tests before this one left without an envelope.
    const startBlock = (await app.client.getBlockNumber({ cacheTime: 0 })) + 1n;
    const { handle } = await played.input(host, app, sha256(envelope));
    const double = await compute('add', handle, handle);
    const state = 'killed';
    const done = async (): Promise<boolean> => {
      const seen = await seenBy(2);
      return seen.includes(handle) && seen.includes(double);
    };
    let kills = 0;
    for (let life = 1; life <= 300 && !(await done()); life++) {
      let count = 0;
      const limit = 3 + life;
      const dying = (inner: Endpoint, kill: () => void): Endpoint => ({
        async ask(method, params, signal) {
          if (method !== 'eth_getBlockByNumber' && method !== 'eth_chainId') count++;
          if (count < limit) return inner.ask(method, params, signal);
          if (life % 2 === 0) await inner.ask(method, params);
          if (count === limit) kills++;
          kill();
          throw new KmsError('UNAVAILABLE', 'killed');
        },
      });
      const one = await start(2, state, dying, startBlock);
      if (life % 3 === 0) await upload(one, envelope).catch(() => undefined);
      await Promise.race([one.ended.catch(() => undefined), pollDone(done)]);
      await one.stop();
    }
    expect(kills).toBeGreaterThan(3);
    expect(await done()).toBe(true);
    // What was seen once by the majority's commitment or its own event is not sent again.
    const last = await start(2, state, undefined, startBlock);
    await expect.poll(() => readdir(join(directory, state, 'work')), { timeout: 60_000 }).toEqual([]);
    await last.stop();
    const seen = await seenBy(2);
    expect(seen.filter((one) => one === double)).toHaveLength(1);
    expect(seen.filter((one) => one === handle)).toHaveLength(1);
  }, 240_000);
});

async function pollDone(isDone: () => Promise<boolean>): Promise<void> {
  while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Handles about which a coprocessor spoke, as often as it did. */
async function seenBy(index: number): Promise<readonly Hex[]> {
  const { address } = played.gateway.coprocessors[index]!;
  const all = await eventsOf<{ readonly handle: Hex; readonly coprocessor: Hex }>(
    played.anybody,
    played.gateway.ciphertexts,
    'CiphertextSeen',
  );
  return all.filter(({ coprocessor }) => coprocessor === address).map(({ handle }) => handle);
}
