import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Uploads } from '../../../gateway/coprocessor/uploads.ts';

/** What a coprocessor serves of its store; how inputs are brought is tested with whole coprocessors. */

const HANDLE = '5b'.repeat(32);
const envelope = new TextEncoder().encode('an envelope');
let directory: string;
let uploads: Uploads;
let url: string;
let gate: Promise<void> = Promise.resolve();
let reading = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-uploads-'));
  uploads = await Uploads.open({
    ...{ directory, onUpload: () => {} },
    store: {
      async get(handle) {
        reading++;
        await gate;
        return handle === `0x${HANDLE}` ? envelope : undefined;
      },
    },
  });
  url = `http://127.0.0.1:${await uploads.listen(0, '127.0.0.1')}/v1/ciphertexts`;
});

afterAll(async () => {
  uploads?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('ciphertexts of a coprocessor', () => {
  test('GET: the envelope of a handle, and nothing under another name', async () => {
    const found = await fetch(`${url}/${HANDLE}`);
    expect(found.status).toBe(200);
    expect(new Uint8Array(await found.arrayBuffer())).toEqual(envelope);
    for (const name of ['5c'.repeat(32), 'xyz', `../${HANDLE}`, `${HANDLE}00`, HANDLE.toUpperCase()]) {
      expect((await fetch(`${url}/${name}`)).status).toBe(404);
    }
    expect((await fetch(`${url}/${HANDLE}`, { method: 'PUT', body: 'x' })).status).toBe(405);
  });

  test('GET: so many at once, and no more in memory', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    [gate, reading] = [promise, 0];
    const first = Array.from({ length: 8 }, () => fetch(`${url}/${HANDLE}`));
    await expect.poll(() => reading).toBe(8);
    expect((await fetch(`${url}/${HANDLE}`)).status).toBe(503);
    resolve();
    for (const response of await Promise.all(first)) expect(response.status).toBe(200);
    expect((await fetch(`${url}/${HANDLE}`)).status).toBe(200);
  });
});
