import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Files, nodeFiles } from '../../../enclave/store/files.ts';
import { KeyRing } from '../../../infra/local/kms/key-ring.ts';
import { KeyStore, type StoredKey } from '../../../infra/local/kms/key-store.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-store-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const KEY: Omit<StoredKey, 'material'> = {
  ...{ keyId: '1234abcd-12ab-34cd-56ef-1234567890ab', account: '111122223333', description: '' },
  ...{ createdMs: 1, state: 'Enabled', deletionMs: undefined, policy: '{}', grants: [] },
};

class Crash extends Error {}

/** Fails at one effect, by its number, and at all that follow: the process is dead. */
function crashing(at: number): Files {
  let count = 0;
  const step = (): void => {
    if (count++ >= at) throw new Crash();
  };
  return {
    ...nodeFiles,
    writeSynced: async (path, bytes) => {
      // A crash in the middle leaves a part of the file.
      if (count === at) await nodeFiles.writeSynced(path, bytes.subarray(0, 10));
      step();
      await nodeFiles.writeSynced(path, bytes);
    },
    rename: async (from, to) => {
      step();
      await nodeFiles.rename(from, to);
    },
    remove: async (path) => {
      step();
      await nodeFiles.remove(path);
    },
    syncDirectory: async (path) => {
      step();
      await nodeFiles.syncDirectory(path);
    },
  };
}

describe("the stand-in's keys", () => {
  it('key store: keys are there after a restart, and say what they are', async () => {
    const store = await KeyStore.open(directory);
    const made = await store.create(KEY);
    await store.change(KEY.keyId, (key) => ({ ...key, state: 'Disabled' }));
    const again = await KeyStore.open(directory);
    expect(again.get(KEY.keyId)).toMatchObject({ material: made.material, state: 'Disabled' });
    expect(await readdir(directory)).toEqual([`DEVELOPMENT-ONLY-${KEY.keyId}.json`]);
    await again.destroy(KEY.keyId);
    expect(await readdir(directory)).toEqual([]);
    expect((await KeyStore.open(directory)).keys).toEqual([]);
  });

  it('key store: after a crash at any effect a key is as before the change or as after it', async () => {
    const made = await (await KeyStore.open(directory)).create(KEY);
    const outcomes = new Set<string>();
    for (let at = 0; ; at++) {
      const store = await KeyStore.open(directory, crashing(at));
      const wanted = store.get(KEY.keyId)?.state === 'Enabled' ? 'Disabled' : 'Enabled';
      const isDone = await store
        .change(KEY.keyId, (key) => ({ ...key, state: wanted }))
        .then(
          () => true,
          (error: unknown) => {
            if (!(error instanceof Crash)) throw error;
            return false;
          },
        );
      const found = (await KeyStore.open(directory)).get(KEY.keyId);
      expect(found?.material).toBe(made.material);
      if (isDone) expect(found?.state).toBe(wanted);
      outcomes.add(`${isDone} ${found?.state === wanted}`);
      expect(await readdir(directory)).toHaveLength(1);
      if (isDone) break;
    }
    expect([...outcomes].sort()).toEqual(['false false', 'false true', 'true true']);
  });

  it('key store: changes of one key do not overtake each other', async () => {
    const store = await KeyStore.open(directory);
    await store.create(KEY);
    const descriptions = Array.from({ length: 8 }, (_, i) => `${i}`);
    await Promise.all(
      descriptions.map((one) =>
        store.change(KEY.keyId, (key) => ({ ...key, description: key.description + one })),
      ),
    );
    expect((await KeyStore.open(directory)).get(KEY.keyId)?.description).toBe('01234567');
  });

  it('key store: a file that holds another key is an error', async () => {
    const store = await KeyStore.open(directory);
    await store.create(KEY);
    await writeFile(join(directory, `DEVELOPMENT-ONLY-${KEY.keyId}.json`), '{"keyId":"x"}');
    await expect(KeyStore.open(directory)).rejects.toThrow(/another key/);
  });

  it('key store: a key whose time of deletion has come is gone, its material too', async () => {
    const store = await KeyStore.open(directory);
    await store.create({ ...KEY, state: 'PendingDeletion', deletionMs: 1_000 });
    let nowMs = 999;
    const ring = new KeyRing(store, 'eu-central-1', () => nowMs);
    expect((await ring.find(KEY.keyId)).state).toBe('PendingDeletion');
    nowMs = 1_000;
    await expect(ring.find(KEY.keyId)).rejects.toMatchObject({ name: 'NotFoundException' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('key store: a key is found by its id and its ARN, and not by those of other regions and accounts', async () => {
    const store = await KeyStore.open(directory);
    await store.create(KEY);
    const ring = new KeyRing(store, 'eu-central-1', () => 0);
    const arn = `arn:aws:kms:eu-central-1:${KEY.account}:key/${KEY.keyId}`;
    for (const name of [KEY.keyId, arn]) expect((await ring.find(name)).keyId).toBe(KEY.keyId);
    for (const name of [
      arn.replace('eu-', 'us-'),
      arn.replace(KEY.account, '999999999999'),
      `x/${KEY.keyId}`,
      '',
    ]) {
      await expect(ring.find(name)).rejects.toMatchObject({ name: 'NotFoundException' });
    }
  });
});
