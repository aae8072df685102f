import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keysAbi } from '../../../gateway/adapter/abi/gateway.ts';
import { Chain } from '../../../gateway/adapter/chain.ts';
import type { Place } from '../../../gateway/adapter/config-file.ts';
import {
  certifiedKeys,
  type EvaluationKeys,
  Evaluators,
  recordSource,
} from '../../../gateway/coprocessor/evaluation-keys.ts';
import { keyPrimes, presetByName } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import {
  certifiedKeyCodec,
  KEY_RECORD_VERSION,
  type KeyRecord,
  keyDigest,
} from '../../../shared/protocol/keygen/record.ts';
import { encode } from '../../../shared/wire/codec.ts';

const preset = presetByName('test-4096');
const ID = 'ab'.repeat(32);
const element = (value: bigint): BigUint64Array =>
  new BigUint64Array(preset.degree * keyPrimes(preset).length).fill(value);

const record = (publicKey: bigint): KeyRecord => ({
  ...{ version: KEY_RECORD_VERSION, networkId: digest('01'.repeat(32)), epoch: epochId(0), key: keyId(ID) },
  ...{ request: { request: digest('02'.repeat(32)), preset: preset.name, galois: 'none' }, attempt: 0 },
  ...{ session: digest('03'.repeat(32)), transcript: digest('04'.repeat(32)), publicKey: element(publicKey) },
  relinearisation: Array.from({ length: preset.levels }, () => ({ b: element(5n), h1: element(6n) })),
  galois: [],
});

let directory: string;
const servers: Server[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-keys-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(directory, { recursive: true, force: true });
});

/** A gateway that keeps one digest for every key. */
function keysOf(said: string, places: readonly Place[] = [{ directory }]): EvaluationKeys {
  const endpoint = { ask: async () => ({ result: `0x${said}` }) };
  const chain = new Chain(1n, endpoint);
  const contract = { chain, address: `0x${'0c'.repeat(20)}`, abi: keysAbi } as const;
  return certifiedKeys(places.map(recordSource), contract, new AbortController().signal);
}

function encoded(of: KeyRecord): Uint8Array {
  const certificate = { statement: keyDigest(noble, of), signatures: [] };
  return encode(certifiedKeyCodec, { record: of, certificate });
}

/** Answers every request so; undefined: 404. @returns its URL */
async function serve(body: Uint8Array | undefined, paths: string[] = []): Promise<string> {
  const server = createServer((request, response) => {
    paths.push(request.url ?? '');
    if (body === undefined) response.writeHead(404).end();
    else response.end(body);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}/keys`;
}

async function write(name: string, of: KeyRecord): Promise<void> {
  await writeFile(join(directory, `${name}.key`), encoded(of));
}

test('evaluation keys: a record is used if the gateway keeps its digest', async () => {
  const expected = keyDigest(noble, record(1n));
  expect(await keysOf(expected).keysOf(`0x${ID}`)).toBe(undefined);
  await write(ID, record(1n));
  const found = await keysOf(expected).keysOf(`0x${ID}`);
  expect(found?.preset.name).toBe(preset.name);
  using evaluators = new Evaluators(keysOf(expected));
  const first = await evaluators.of(`0x${ID}`);
  expect(first).toBeDefined();
  expect(await evaluators.of(`0x${ID}`)).toBe(first);
});

test('evaluation keys: an altered record, or that of another key, is refused', async () => {
  const expected = keyDigest(noble, record(1n));
  await write(ID, record(2n));
  await expect(keysOf(expected).keysOf(`0x${ID}`)).rejects.toMatchObject({ code: 'WRONG_KEY' });
  const other = 'cd'.repeat(32);
  await write(other, record(1n));
  await expect(keysOf(expected).keysOf(`0x${other}`)).rejects.toMatchObject({ code: 'WRONG_KEY' });
});

test('evaluation keys: places that lie, have none, send junk or are down stand in nobody’s way', async () => {
  const expected = keyDigest(noble, record(1n));
  const paths: string[] = [];
  const bad = [
    { url: await serve(encoded(record(2n))) },
    { url: await serve(undefined) },
    { url: await serve(new Uint8Array([1, 2, 3])) },
    { url: 'http://127.0.0.1:1/keys' },
    { directory },
  ];
  await expect(keysOf(expected, bad).keysOf(`0x${ID}`)).rejects.toThrow();
  const good = { url: `${await serve(encoded(record(1n)), paths)}/` };
  expect(await keysOf(expected, [...bad, good]).keysOf(`0x${ID}`)).toBeDefined();
  expect(paths).toEqual([`/keys/${ID}`]);
  expect(await keysOf(expected, [{ url: await serve(undefined) }, { directory }]).keysOf(`0x${ID}`)).toBe(
    undefined,
  );
});
