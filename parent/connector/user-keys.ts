import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { readLimited, removeDurably, writeDurably } from '../../gateway/adapter/durable-file.ts';
import { KmsError } from '../../shared/errors.ts';
import { toHex } from '../../shared/wire/bytes.ts';

/** Of an X-Wing public key: ML-KEM-768 and X25519. */
export const USER_KEY_BYTES = 1216;

/** Keys for which no request was seen yet; the oldest go first. */
const MAX_UNASKED = 4_096;
/** Requests under way that name keys. */
const MAX_ASKED = 16_384;
const HASH = /^[0-9a-f]{64}$/;

/**
 * Users' public keys by their SHA-256, which is all that the chain has of them. Anybody may bring one, so those that no request
 * names are few and are forgotten first; nobody can fill the disk or push out a key that somebody waits for.
 */
export class UserKeys {
  readonly #directory: string;
  readonly #maxUnasked: number;
  /** In the order in which they came. */
  readonly #unasked: Set<string>;
  /** By hash, how many pieces of work wait for it. */
  readonly #asked = new Map<string, number>();
  #stored: (hash: string) => void = () => {};

  private constructor(directory: string, maxUnasked: number, known: readonly string[]) {
    [this.#directory, this.#maxUnasked, this.#unasked] = [directory, maxUnasked, new Set(known)];
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(directory: string, maxUnasked = MAX_UNASKED): Promise<UserKeys> {
    try {
      await mkdir(directory, { recursive: true });
      const known = (await readdir(directory)).filter((name) => HASH.test(name));
      return new UserKeys(directory, maxUnasked, known);
    } catch (cause) {
      throw new KmsError('STORE_FAILED', 'the users’ keys cannot be read', { cause });
    }
  }

  /** Called with the hash of each key that comes in. */
  onStored(listener: (hash: string) => void): void {
    this.#stored = listener;
  }

  /**
   * Durable when the promise resolves.
   * @param hash 64 lower-case hex digits
   * @throws {KmsError} BAD_INPUT for another size or hash; STORE_FAILED
   */
  async put(hash: string, key: Uint8Array): Promise<void> {
    if (key.length !== USER_KEY_BYTES || toHex(sha256(key)) !== hash) {
      throw new KmsError('BAD_INPUT', `a key has ${USER_KEY_BYTES} bytes and is named by its SHA-256`);
    }
    if (!this.#asked.has(hash)) this.#unasked.add(hash);
    await writeDurably(join(this.#directory, hash), key);
    await this.#forgetOldest();
    this.#stored(hash);
  }

  /** @returns undefined while nobody has brought it */
  async find(hash: string): Promise<Uint8Array | undefined> {
    return HASH.test(hash) ? readLimited(join(this.#directory, hash), USER_KEY_BYTES) : undefined;
  }

  /** Somebody waits for this key: it is kept until it is let go of. @throws {KmsError} BUSY */
  ask(hash: string): void {
    if (!this.#asked.has(hash) && this.#asked.size >= MAX_ASKED) {
      throw new KmsError('BUSY', 'too many requests of users are under way');
    }
    this.#asked.set(hash, (this.#asked.get(hash) ?? 0) + 1);
    this.#unasked.delete(hash);
  }

  /** It is forgotten like others then. */
  async release(hash: string): Promise<void> {
    const count = (this.#asked.get(hash) ?? 1) - 1;
    if (count > 0) {
      this.#asked.set(hash, count);
      return;
    }
    this.#asked.delete(hash);
    this.#unasked.add(hash);
    await this.#forgetOldest();
  }

  async #forgetOldest(): Promise<void> {
    for (const oldest of this.#unasked) {
      if (this.#unasked.size <= this.#maxUnasked) return;
      this.#unasked.delete(oldest);
      await removeDurably(join(this.#directory, oldest));
    }
  }
}
