import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Files, nodeFiles } from '../../../enclave/store/files.ts';
import type { Grant } from './grants.ts';
import { ServiceError } from './service-error.ts';

/** A key with all that belongs to it; one file each. */
export interface StoredKey {
  /** UUID */
  readonly keyId: string;
  readonly account: string;
  readonly description: string;
  readonly createdMs: number;
  readonly state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  readonly deletionMs: number | undefined;
  /** The text of the policy, as it was given. */
  readonly policy: string;
  readonly grants: readonly Grant[];
  /** 32 bytes, base64. In the clear: this is a service for development. */
  readonly material: string;
}

const NOTICE = 'DEVELOPMENT ONLY: this file holds a key in the clear';
const MAX_FILE_BYTES = 1 << 20;
const fileName = /^DEVELOPMENT-ONLY-([0-9a-f-]{36})\.json$/;

/**
 * Keys in a directory. A change is written whole to a new file, synced, and renamed into place before it counts: after a
 * crash every key is as before the change or as after it. One process has the directory.
 */
export class KeyStore {
  readonly #directory: string;
  readonly #files: Files;
  readonly #keys = new Map<string, StoredKey>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, files: Files) {
    this.#directory = directory;
    this.#files = files;
  }

  static async open(directory: string, files: Files = nodeFiles): Promise<KeyStore> {
    const store = new KeyStore(directory, files);
    await files.makeDirectory(directory);
    for (const name of await files.list(directory)) {
      if (name.endsWith('.tmp')) await files.remove(join(directory, name));
      const keyId = fileName.exec(name)?.[1];
      if (keyId !== undefined) store.#keys.set(keyId, await store.#read(name, keyId));
    }
    return store;
  }

  get keys(): readonly StoredKey[] {
    return [...this.#keys.values()];
  }

  get(keyId: string): StoredKey | undefined {
    return this.#keys.get(keyId);
  }

  /** Durable when it resolves. */
  create(key: Omit<StoredKey, 'material'>): Promise<StoredKey> {
    return this.#inOrder(() => this.#write({ ...key, material: randomBytes(32).toString('base64') }));
  }

  /**
   * Replaces a key by what `change` makes of it; durable when it resolves.
   * @throws {ServiceError} NotFoundException, what `change` throws
   */
  change(keyId: string, change: (key: StoredKey) => StoredKey): Promise<StoredKey> {
    return this.#inOrder(async () => {
      const key = this.#keys.get(keyId);
      if (key === undefined) throw new ServiceError('NotFoundException', `Key ${keyId} does not exist`);
      return this.#write(change(key));
    });
  }

  /** Its material is gone when it resolves. */
  destroy(keyId: string): Promise<void> {
    return this.#inOrder(async () => {
      await this.#files.remove(join(this.#directory, nameOf(keyId)));
      await this.#files.syncDirectory(this.#directory);
      this.#keys.delete(keyId);
    });
  }

  async #write(key: StoredKey): Promise<StoredKey> {
    const path = join(this.#directory, nameOf(key.keyId));
    const temporary = `${path}.tmp`;
    await this.#files.remove(temporary);
    const text = `${JSON.stringify({ notice: NOTICE, ...key }, undefined, 1)}\n`;
    await this.#files.writeSynced(temporary, Buffer.from(text));
    await this.#files.rename(temporary, path);
    await this.#files.syncDirectory(this.#directory);
    this.#keys.set(key.keyId, key);
    return key;
  }

  async #read(name: string, keyId: string): Promise<StoredKey> {
    const bytes = await this.#files.read(join(this.#directory, name), MAX_FILE_BYTES);
    const parsed: StoredKey = JSON.parse(Buffer.from(bytes ?? []).toString('utf8'));
    if (parsed.keyId !== keyId) throw new Error(`${name} holds another key`);
    return parsed;
  }

  #inOrder<T>(effect: () => Promise<T>): Promise<T> {
    const result = this.#last.then(effect);
    this.#last = result.catch(() => {});
    return result;
  }
}

function nameOf(keyId: string): string {
  return `DEVELOPMENT-ONLY-${keyId}.json`;
}
