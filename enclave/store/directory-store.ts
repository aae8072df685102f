import { createCipheriv, createDecipheriv } from 'node:crypto';
import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { Rng } from '../../shared/primitives.ts';
import { concat, equalBytes, toHex, utf8 } from '../../shared/wire/bytes.ts';
import { type Files, nodeFiles } from './files.ts';
import { checkName, fileNameOf, nameOf } from './record-name.ts';
import { MAX_RECORD_BYTES, type SealedStore } from './sealed-store.ts';

const MAGIC = utf8('kms-dev1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = MAGIC.length + NONCE_BYTES + TAG_BYTES;

/**
 * A sealed store in a directory: AES-256-GCM records under a key that the platform gives, as good as that key: a mock enclave's
 * lies beside the records, an image's dies with its boot. Records cannot be altered or exchanged, but whoever writes the
 * directory can put back an old state.
 *
 * File: "kms-dev1", nonce (12, random), ciphertext, tag (16); associated data: format and record name.
 */
export class DirectoryStore implements SealedStore {
  readonly #directory: string;
  readonly #key: Uint8Array;
  readonly #rng: Rng;
  readonly #files: Files;
  /** Effects happen one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, key: Uint8Array, rng: Rng, files: Files) {
    this.#directory = directory;
    this.#key = key;
    this.#rng = rng;
    this.#files = files;
  }

  /**
   * Creates the directory on first use, and removes what an interrupted write left.
   * @param key 32 secret bytes (Platform.sealingKey)
   * @throws {KmsError} STORE_FAILED
   */
  static async open(
    directory: string,
    key: Uint8Array,
    rng: Rng,
    files: Files = nodeFiles,
  ): Promise<DirectoryStore> {
    return failing('cannot open the store', async () => {
      await files.makeDirectory(directory);
      for (const file of await files.list(directory)) {
        if (file.endsWith('.tmp')) await files.remove(join(directory, file));
      }
      return new DirectoryStore(directory, key, rng, files);
    });
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkName(name);
    return this.#next('cannot read a record', async () => {
      const sealed = await this.#files.read(this.#path(name), MAX_RECORD_BYTES + OVERHEAD_BYTES);
      return sealed === undefined ? undefined : this.#unseal(name, sealed);
    });
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    checkName(name);
    if (bytes.length > MAX_RECORD_BYTES) {
      throw new KmsError('TOO_LARGE', `a record has at most ${MAX_RECORD_BYTES} bytes`);
    }
    const sealed = this.#seal(name, bytes);
    return this.#next('cannot write a record', async () => {
      const path = this.#path(name);
      const temporary = `${path}.${toHex(this.#rng(8))}.tmp`;
      await this.#files.writeSynced(temporary, sealed);
      await this.#files.rename(temporary, path);
      await this.#files.syncDirectory(this.#directory);
    });
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    return this.#next('cannot delete a record', async () => {
      await this.#files.remove(this.#path(name));
      await this.#files.syncDirectory(this.#directory);
    });
  }

  list(prefix: string): Promise<readonly string[]> {
    return this.#next('cannot list the store', async () => {
      const names = (await this.#files.list(this.#directory)).map(nameOf);
      return names.filter((name): name is string => name?.startsWith(prefix) ?? false).sort();
    });
  }

  #path(name: string): string {
    return join(this.#directory, fileNameOf(name));
  }

  #seal(name: string, bytes: Uint8Array): Uint8Array {
    const nonce = this.#rng(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(associated(name));
    const body = cipher.update(bytes);
    return concat(MAGIC, nonce, body, cipher.final(), cipher.getAuthTag());
  }

  #unseal(name: string, sealed: Uint8Array): Uint8Array {
    if (sealed.length < OVERHEAD_BYTES || !equalBytes(sealed.subarray(0, MAGIC.length), MAGIC)) {
      throw new KmsError('STORE_FAILED', `record ${name} is damaged`);
    }
    const nonce = sealed.subarray(MAGIC.length, MAGIC.length + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associated(name));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const body = decipher.update(sealed.subarray(MAGIC.length + NONCE_BYTES, -TAG_BYTES));
    try {
      return concat(body, decipher.final());
    } catch (cause) {
      body.fill(0);
      throw new KmsError('STORE_FAILED', `record ${name} was changed or belongs elsewhere`, { cause });
    }
  }

  #next<T>(what: string, effect: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => failing(what, effect));
    this.#last = result.catch(() => {});
    return result;
  }
}

function associated(name: string): Uint8Array {
  return concat(MAGIC, utf8(name));
}

async function failing<T>(what: string, effect: () => Promise<T>): Promise<T> {
  try {
    return await effect();
  } catch (cause) {
    throw cause instanceof KmsError ? cause : new KmsError('STORE_FAILED', what, { cause });
  }
}
