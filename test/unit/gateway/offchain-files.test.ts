import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Hex } from '../../../gateway/adapter/chain-data.ts';
import { checkedDerivation, type EmittedDerivation } from '../../../gateway/adapter/derivation.ts';
import { WorkList } from '../../../gateway/adapter/work-list.ts';
import { type Attempt, Workshop } from '../../../gateway/adapter/workshop.ts';
import { readCoprocessorConfig } from '../../../gateway/coprocessor/config.ts';
import {
  type EnvelopeStore,
  FileEnvelopes,
  readEnvelope,
} from '../../../gateway/coprocessor/envelope-store.ts';
import { Ledger } from '../../../gateway/coprocessor/ledger.ts';
import { S3Envelopes } from '../../../gateway/coprocessor/s3-envelopes.ts';
import { parseCommitteeChange } from '../../../gateway/relayer/committee-changes.ts';
import { readRelayerConfig } from '../../../gateway/relayer/config.ts';
import { S3Server } from '../../../infra/local/s3/server.ts';
import { handleOf, provenanceOf } from '../../../shared/gateway/handle.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

const hex = (byte: string, sizeBytes: number): Hex => `0x${byte.repeat(sizeBytes)}`;
const sha256 = (bytes: Uint8Array): Hex => `0x${createHash('sha256').update(bytes).digest('hex')}`;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-offchain-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const withS3 = async (use: (store: EnvelopeStore, raw: S3Client) => Promise<void>): Promise<void> => {
  const credentials = { accessKeyId: 'AKIALOCALTEST0000001', secretAccessKey: 'a secret' };
  const region = 'eu-west-1';
  const server = await S3Server.open({
    directory,
    region,
    credentials: [{ ...credentials, account: '111122223333' }],
  });
  const endpoint = await server.listen(0);
  const raw = new S3Client({ endpoint, region, credentials: { ...credentials }, forcePathStyle: true });
  await raw.send(new CreateBucketCommand({ Bucket: 'envelopes' }));
  const store = new S3Envelopes({ endpoint, region, bucket: 'envelopes', prefix: 'one/', credentials });
  try {
    await use(store, raw);
  } finally {
    store.close();
    raw.destroy();
    await server.close();
  }
};

describe('envelope stores', () => {
  const handle = hex('ab', 32);
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);

  async function checkStore(store: EnvelopeStore): Promise<void> {
    expect(await store.get(handle)).toBe(undefined);
    await store.put(handle, Uint8Array.of(1));
    await store.put(handle, bytes);
    const got = await readEnvelope(store, handle, sha256(bytes));
    expect(Object.getPrototypeOf(got)).toBe(Uint8Array.prototype);
    expect(Buffer.from(got!).equals(Buffer.from(bytes))).toBe(true);
    await expect(readEnvelope(store, handle, sha256(Uint8Array.of(1)))).rejects.toMatchObject({
      code: 'BAD_ENCODING',
    });
    await store.put(handle, new Uint8Array((4 << 20) + 1));
    await expect(store.get(handle)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  }

  test('envelope store: a directory', () => checkStore(new FileEnvelopes(join(directory, 'envelopes'))));

  test('envelope store: a bucket', () => withS3(checkStore));

  test('envelope store: a bucket that does not answer is asked again later', async () => {
    const credentials = { accessKeyId: 'A', secretAccessKey: 'b' };
    const store = new S3Envelopes({
      ...{ endpoint: 'http://127.0.0.1:1', region: 'eu-west-1', bucket: 'b', prefix: '', credentials },
    });
    await expect(store.get(handle)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    store.close();
  });
});

describe('ledger', () => {
  const entry = {
    ...{ handle: hex('01', 32), keyId: hex('02', 32), digest: hex('03', 32), kind: 2, level: 3 },
    ...{ bound: 2n ** 200n, provenance: hex('04', 32) },
  };

  test('ledger: keeps what was found, and what never will be', async () => {
    const ledger = new Ledger(directory);
    expect(await ledger.get(entry.handle)).toBe(undefined);
    await ledger.put(entry);
    expect(await new Ledger(directory).get(entry.handle)).toEqual(entry);
    await ledger.bury(hex('05', 32));
    expect(await ledger.get(hex('05', 32))).toBe('dead');
  });

  test.each([
    '',
    '{',
    '{}',
    '[]',
    JSON.stringify({ ...entry, bound: '0x1', handle: hex('09', 32) }),
    JSON.stringify({ ...entry, bound: 1 }),
  ])('ledger: %s is no entry', async (text) => {
    await writeFile(join(directory, `${'01'.repeat(32)}.entry`), text);
    await expect(new Ledger(directory).get(entry.handle)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
  });
});

describe('derivation', () => {
  const compute = hex('c0', 20);
  const emitted: EmittedDerivation = {
    ...{
      operation: 2,
      inputs: [hex('01', 32), hex('02', 32)],
      argument: hex('00', 32),
      keyId: hex('03', 32),
    },
    ...{ kind: 1, level: 3, bound: 1000n, chainId: 7n, compute, nonce: 5n },
  };
  const bytes = (value: Hex): Uint8Array => fromHex(value.slice(2));
  const typed = {
    ...emitted,
    ...{ kind: 'scalar' as const, inputs: emitted.inputs.map(bytes), argument: bytes(emitted.argument) },
    ...{ keyId: bytes(emitted.keyId), compute: bytes(compute) },
  };
  const said = {
    handle: `0x${toHex(handleOf(typed))}` as Hex,
    provenance: `0x${toHex(provenanceOf(typed))}` as Hex,
    chainId: 7n,
    compute,
  };

  test('derivation: a handle is recomputed from everything it says', () => {
    expect(checkedDerivation(emitted, said)).toEqual(typed);
  });

  test.each<[string, Partial<EmittedDerivation>, Partial<typeof said>]>([
    ['another operation', { operation: 3 }, {}],
    ['an unknown operation', { operation: 9 }, {}],
    ['an operand less', { inputs: [hex('01', 32)] }, {}],
    ['another argument', { argument: hex('01', 32) }, {}],
    ['another level', { level: 2 }, {}],
    ['another bound', { bound: 1n }, {}],
    ['another nonce', { nonce: 6n }, {}],
    ['another kind', { kind: 2 }, {}],
    ['an unknown kind', { kind: 3 }, {}],
    ['another chain', {}, { chainId: 8n }],
    ['another contract', {}, { compute: hex('c1', 20) }],
    ['another provenance', {}, { provenance: hex('07', 32) }],
    ['another handle', {}, { handle: hex('07', 32) }],
  ])('derivation: %s is refused', (_, change, wrong) => {
    const check = (): unknown => checkedDerivation({ ...emitted, ...change }, { ...said, ...wrong });
    expect(check).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
  });
});

describe('work', () => {
  const quiet = (): void => undefined;

  test('work list: survives its process, is bounded, and takes no work twice', async () => {
    const list = await WorkList.open(directory, 2);
    await list.add({ key: 'a-1', body: 'one' });
    await list.add({ key: 'a-1', body: 'other' });
    await list.add({ key: 'b-2', body: 'two' });
    await expect(list.add({ key: 'c-3', body: '' })).rejects.toMatchObject({ code: 'BUSY' });
    await expect(list.add({ key: '../c', body: '' })).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await writeFile(join(directory, 'half.work.new'), 'x');
    const again = await WorkList.open(directory, 2);
    expect(again.keys).toEqual(['a-1', 'b-2']);
    expect(await again.body('a-1')).toBe('one');
    await again.remove('a-1');
    expect((await WorkList.open(directory, 2)).keys).toEqual(['b-2']);
  });

  test('workshop: tries until it is done, wakes by its bell, gives up when told to', async () => {
    const list = await WorkList.open(directory, 10);
    const stopping = new AbortController();
    const tries = new Map<string, number>();
    const given: string[] = [];
    const attempt = async ({ key }: { readonly key: string }): Promise<Attempt> => {
      const count = (tries.get(key) ?? 0) + 1;
      tries.set(key, count);
      if (key === 'never') return 'never';
      if (key === 'failing' && count < 3) throw new Error('not yet');
      if (key === 'waiting' && count < 2) return { later: ['bell'] };
      return 'done';
    };
    const log = (_: string, event: string): void => void given.push(event);
    const backoff = { firstMs: 1, longestMs: 1 };
    const shop = new Workshop({ list, attempt, log, signal: stopping.signal, backoff });
    for (const key of ['never', 'failing']) await shop.add({ key, body: '' });
    await expect.poll(() => readdir(directory)).toEqual([]);
    expect(Object.fromEntries(tries)).toEqual({ never: 1, failing: 3 });
    expect(given).toContain('work-given-up');
    const slow = new Workshop({
      list,
      attempt,
      log: quiet,
      signal: stopping.signal,
      backoff: { firstMs: 1e9, longestMs: 1e9 },
    });
    await slow.add({ key: 'waiting', body: '' });
    await expect.poll(() => tries.get('waiting')).toBe(1);
    await expect
      .poll(() => {
        slow.ring('bell');
        return tries.get('waiting');
      })
      .toBe(2);
    await expect.poll(() => readdir(directory)).toEqual([]);
    stopping.abort();
  });

  test('workshop: what is never done ends after its tries', async () => {
    const list = await WorkList.open(directory, 10);
    const backoff = { firstMs: 1, longestMs: 1 };
    const { signal } = new AbortController();
    const attempt = async (): Promise<Attempt> => ({ later: [] });
    const shop = new Workshop({ list, attempt, log: quiet, signal, backoff, maxTries: 4 });
    await shop.add({ key: 'endless', body: '' });
    await expect.poll(() => readdir(directory)).toEqual([]);
  });
});

describe('files', () => {
  const change = {
    ...{ fromEpoch: '0x0', toEpoch: '0x1', t: '0x1', graceSeconds: '0x258' },
    ...{ signers: [hex('01', 20)], signatures: hex('02', 65) },
  };

  test('committee change: is read strictly', () => {
    const { change: read, signatures } = parseCommitteeChange(JSON.stringify(change));
    expect(read).toEqual({ fromEpoch: 0n, toEpoch: 1n, t: 1, signers: [hex('01', 20)], graceSeconds: 600n });
    expect(signatures).toBe(hex('02', 65));
    for (const wrong of [
      { t: 1 },
      { more: '0x1' },
      { signers: [hex('01', 19)] },
      { signers: Array(65).fill(hex('01', 20)) },
    ]) {
      const text = JSON.stringify({ ...change, ...wrong });
      expect(() => parseCommitteeChange(text)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
    }
  });

  const chains = {
    gateway: { url: 'http://a', chainId: 1, registry: hex('0a', 20), confirmations: 2 },
    hosts: [{ url: 'http://b', chainId: 2, startBlock: 7 }],
  };
  const common = { stateDirectory: 's', accountKeyFile: 'k', ...chains };

  async function written(value: object): Promise<string> {
    const path = join(directory, 'config.json');
    await writeFile(path, JSON.stringify(value));
    return path;
  }

  test('relayer config: is read strictly', async () => {
    const config = await readRelayerConfig(await written(common));
    expect(config).toMatchObject({ lifetimeS: 3600, committeeChangesDirectory: undefined });
    expect(config.gateway).toMatchObject({
      chainId: 1n,
      startBlock: 0n,
      pollMs: 50,
      finality: { confirmations: 2 },
    });
    expect(config.hosts[0]).toEqual({
      url: 'http://b',
      chainId: 2n,
      startBlock: 7n,
      pollMs: 50,
      finality: 'finalized',
    });
    for (const wrong of [
      { more: 1 },
      { requestLifetimeS: 29 },
      { gateway: { ...chains.gateway, more: 1 } },
      { gateway: { ...chains.gateway, registry: '0x1' } },
      { gateway: { ...chains.gateway, url: 'ftp://a' } },
      { gateway: { ...chains.gateway, headsUrl: '' } },
      { gateway: { ...chains.gateway, headsUrl: 'http://a' } },
      { gateway: { ...chains.gateway, headsUrl: 'ws://:::' } },
      { gateway: { ...chains.gateway, headsUrl: 'wss://a/#b' } },
      { hosts: {} },
      { hosts: [{ ...chains.hosts[0], chainId: 2 ** 48 }] },
    ]) {
      await expect(readRelayerConfig(await written({ ...common, ...wrong }))).rejects.toMatchObject({
        code: 'BAD_INPUT',
      });
    }
    await expect(readRelayerConfig(join(directory, 'none'))).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  test('coprocessor config: is read strictly', async () => {
    const own = {
      ...common,
      keys: [{ directory: 'd' }],
      uploads: '127.0.0.1:80',
      envelopes: { directory: 'e' },
    };
    expect(await readCoprocessorConfig(await written(own))).toMatchObject({ envelopes: { directory: 'e' } });
    const bucket = { region: 'r', bucket: 'b', endpoint: 'http://s3' };
    expect(await readCoprocessorConfig(await written({ ...own, envelopes: bucket }))).toMatchObject({
      envelopes: { ...bucket, prefix: '' },
    });
    for (const wrong of [
      { envelopes: { directory: 'e', bucket: 'b' } },
      { uploads: 'x' },
      { keys: [] },
      { keys: [{ directory: 'd', url: 'http://a' }] },
      { keys: [{ url: 'ftp://a' }] },
      { envelopes: {} },
      { more: 1 },
    ]) {
      await expect(readCoprocessorConfig(await written({ ...own, ...wrong }))).rejects.toMatchObject({
        code: 'BAD_INPUT',
      });
    }
  });
});
