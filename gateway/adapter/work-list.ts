import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { readLimitedText, removeDurably, writeDurably } from './durable-file.ts';

/** A piece of work that survives its process. */
export interface WorkItem {
  readonly key: string;
  /** What is to be done, as its owner wrote it. */
  readonly body: string;
}

const KEY = /^[a-z0-9][a-z0-9-]{0,149}$/;
const MAX_BODY_BYTES = 1 << 20;

/** Work that is not done yet: a file for each piece, in a directory of this process alone. */
export class WorkList {
  readonly #directory: string;
  readonly #maxItems: number;
  readonly #keys: Set<string>;

  private constructor(directory: string, maxItems: number, keys: Set<string>) {
    [this.#directory, this.#maxItems, this.#keys] = [directory, maxItems, keys];
  }

  /** @throws {KmsError} STORE_FAILED */
  static async open(directory: string, maxItems: number): Promise<WorkList> {
    try {
      await mkdir(directory, { recursive: true });
      const names = await readdir(directory);
      // Half-written files end otherwise: their work was never taken on.
      const keys = names
        .filter((name) => name.endsWith('.work'))
        .map((name) => name.slice(0, -'.work'.length));
      return new WorkList(directory, maxItems, new Set(keys.filter((key) => KEY.test(key))));
    } catch (cause) {
      throw new KmsError('STORE_FAILED', 'the list of work cannot be read', { cause });
    }
  }

  get keys(): readonly string[] {
    return [...this.#keys].sort();
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /**
   * Durable when the promise resolves. The same work again changes nothing.
   * @throws {KmsError} BUSY when the list is full; STORE_FAILED; BAD_INPUT
   */
  async add({ key, body }: WorkItem): Promise<void> {
    if (!KEY.test(key) || body.length > MAX_BODY_BYTES)
      throw new KmsError('BAD_INPUT', 'no such work can be kept');
    if (this.#keys.has(key)) return;
    if (this.#keys.size >= this.#maxItems) throw new KmsError('BUSY', 'too much work waits');
    this.#keys.add(key);
    try {
      await writeDurably(this.#path(key), body);
    } catch (error) {
      this.#keys.delete(key);
      throw error;
    }
  }

  /** @returns undefined if it is done */
  async body(key: string): Promise<string | undefined> {
    return readLimitedText(this.#path(key), 4 * MAX_BODY_BYTES);
  }

  async remove(key: string): Promise<void> {
    await removeDurably(this.#path(key));
    this.#keys.delete(key);
  }

  #path(key: string): string {
    return join(this.#directory, `${key}.work`);
  }
}
