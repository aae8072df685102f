import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keysAbi } from '../../../gateway/adapter/abi/gateway.ts';
import { Chain } from '../../../gateway/adapter/chain.ts';
import { Evaluators, recordFiles } from '../../../gateway/coprocessor/evaluation-keys.ts';
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

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-keys-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** A gateway that keeps one digest for every key. */
function keysOf(said: string): ReturnType<typeof recordFiles> {
  const endpoint = { ask: async () => ({ result: `0x${said}` }) };
  return recordFiles(directory, {
    chain: new Chain(1n, endpoint),
    address: `0x${'0c'.repeat(20)}`,
    abi: keysAbi,
  });
}

async function write(name: string, of: KeyRecord): Promise<void> {
  const certificate = { statement: keyDigest(noble, of), signatures: [] };
  await writeFile(join(directory, `${name}.key`), encode(certifiedKeyCodec, { record: of, certificate }));
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
