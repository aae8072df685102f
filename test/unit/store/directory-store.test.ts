import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVELOPMENT_KEY_FILE, developmentKey } from '../../../enclave/platform/mock.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { DirectoryStore } from '../../../enclave/store/directory-store.ts';
import { type Files, nodeFiles } from '../../../enclave/store/files.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-store-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** As a mock enclave does. */
async function open(files: Files = nodeFiles): Promise<DirectoryStore> {
  const key = await developmentKey(directory, systemRng, files);
  return DirectoryStore.open(directory, key, systemRng, files);
}
const storeFailed = { code: 'STORE_FAILED' };

/** The real effects until a number of them is done; then the process is dead, perhaps in the middle of a write. */
function dyingAfter(effects: number): Files {
  let left = effects;
  const alive = (): void => {
    if (left-- <= 0) throw new Error('the process has died');
  };
  return {
    ...nodeFiles,
    async writeSynced(path, bytes) {
      if (left === 0) await nodeFiles.writeSynced(path, bytes.subarray(0, bytes.length >> 1));
      alive();
      await nodeFiles.writeSynced(path, bytes);
    },
    async rename(from, to) {
      alive();
      await nodeFiles.rename(from, to);
    },
    async remove(path) {
      alive();
      await nodeFiles.remove(path);
    },
    async syncDirectory(path) {
      alive();
      await nodeFiles.syncDirectory(path);
    },
  };
}

describe('directory store', () => {
  it('directory store: behaves as a map, also after it was opened again', async () => {
    const name = fc.constantFrom('a', 'a/b', 'keys/00ff/share', 'keys/00ff/seeds', 'node/identity');
    const step = fc.record({
      name,
      bytes: fc.option(fc.uint8Array({ maxLength: 200 })),
      reopen: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await rm(directory, { recursive: true });
        const model = new Map<string, Uint8Array>();
        let store = await open();
        for (const { name, bytes, reopen } of steps) {
          if (bytes === null) {
            await store.delete(name);
            model.delete(name);
          } else {
            await store.put(name, bytes);
            model.set(name, bytes);
          }
          if (reopen) store = await open();
          for (const [known, value] of model) expect(await store.get(known)).toEqual(value);
          expect(await store.get(name)).toEqual(model.get(name));
          expect(await store.list('')).toEqual([...model.keys()].sort());
          expect(await store.list('keys/')).toEqual(
            [...model.keys()].filter((one) => one.startsWith('keys/')).sort(),
          );
        }
      }),
      { numRuns: 20 },
    );
  });

  it('directory store: no plaintext on the disk, everything private, the key says what it is', async () => {
    const store = await open();
    const secret = utf8('a share of the secret key, 0123456789abcdef');
    for (const name of ['keys/1/share', 'x']) await store.put(name, secret);
    for (const file of await readdir(directory)) {
      const raw = await readFile(join(directory, file));
      for (let at = 0; at + 8 <= secret.length; at++)
        expect(raw.includes(Buffer.from(secret.subarray(at, at + 8)))).toBe(false);
      expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600);
    }
    const key = await readFile(join(directory, DEVELOPMENT_KEY_FILE), 'latin1');
    expect(key).toMatch(/^DEVELOPMENT ONLY/);
    const again = await readFile(join(directory, 'x.sealed'));
    await store.put('x', secret);
    expect((await readFile(join(directory, 'x.sealed'))).equals(again)).toBe(false);
  });

  it('directory store: a changed, cut, lengthened or exchanged record is STORE_FAILED', async () => {
    const store = await open();
    await store.put('a', new Uint8Array(50));
    await store.put('b', new Uint8Array(50));
    const path = join(directory, 'a.sealed');
    const good = await readFile(path);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at]! ^= 1;
      await writeFile(path, bad);
      await expect(store.get('a')).rejects.toMatchObject(storeFailed);
    }
    for (const bad of [good.subarray(0, -1), Buffer.concat([good, Buffer.alloc(1)]), Buffer.alloc(0)]) {
      await writeFile(path, bad);
      await expect(store.get('a')).rejects.toMatchObject(storeFailed);
    }
    await copyFile(join(directory, 'b.sealed'), path);
    await expect(store.get('a')).rejects.toMatchObject(storeFailed);
    await writeFile(path, good);
    expect(await store.get('a')).toEqual(new Uint8Array(50));
  });

  it('directory store: a crash between any two effects leaves the old or the new record', async () => {
    const old = new Uint8Array(100).fill(1);
    const fresh = new Uint8Array(100).fill(2);
    for (let effects = 0; effects <= 3; effects++) {
      await (await open()).put('record', old);
      const dying = await open(dyingAfter(effects));
      const died = await dying.put('record', fresh).then(
        () => false,
        () => true,
      );
      expect(died).toBe(effects < 3);
      const after = await open();
      expect(await after.get('record')).toEqual(effects < 2 ? old : fresh);
      expect(await after.list('')).toEqual(['record']);
      expect((await readdir(directory)).filter((file) => file.endsWith('.tmp'))).toEqual([]);
    }
  });

  it('directory store: a crash while its key is born is no obstacle', async () => {
    for (let effects = 0; effects <= 3; effects++) {
      await rm(directory, { recursive: true });
      await expect(open(dyingAfter(effects))).rejects.toMatchObject(storeFailed);
      const store = await open();
      await store.put('a', new Uint8Array(1));
      expect(await (await open()).get('a')).toEqual(new Uint8Array(1));
    }
  });

  it('directory store: a missing or damaged key beside records is STORE_FAILED, never a new key', async () => {
    await (await open()).put('a', new Uint8Array(1));
    const path = join(directory, DEVELOPMENT_KEY_FILE);
    const key = await readFile(path);
    await rm(path);
    await expect(open()).rejects.toMatchObject(storeFailed);
    await writeFile(path, key.subarray(1));
    await expect(open()).rejects.toMatchObject(storeFailed);
    await writeFile(path, key);
    expect(await (await open()).get('a')).toEqual(new Uint8Array(1));
  });

  it('directory store: writes to one record end in the order of the calls', async () => {
    const store = await open();
    const puts = Array.from({ length: 10 }, (_, i) => store.put('a', Uint8Array.of(i)));
    expect(await store.get('a')).toEqual(Uint8Array.of(9));
    await Promise.all(puts);
  });

  it('directory store: names that lead elsewhere are BAD_INPUT', async () => {
    const store = await open();
    for (const name of [
      '',
      '..',
      '../a',
      'a/../b',
      '/a',
      'a/',
      'a//b',
      'A',
      'a b',
      'a+b',
      'a\0',
      'ä',
      'a'.repeat(201),
    ]) {
      await expect(store.get(name), name).rejects.toMatchObject({ code: 'BAD_INPUT' });
      await expect(store.put(name, new Uint8Array(1)), name).rejects.toMatchObject({ code: 'BAD_INPUT' });
      await expect(store.delete(name), name).rejects.toMatchObject({ code: 'BAD_INPUT' });
    }
  });
});
