import { join } from 'node:path';
import type { ObjectStore } from '../../enclave/store/object-store.ts';
import { KmsError } from '../../shared/errors.ts';
import { nodeFiles } from './s3/files.ts';
import { parseFileName } from './s3/object-version.ts';
import { readHeader } from './s3/record.ts';

interface Version {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** A node's part of a bucket as its owner sees it: every version of every object, also of those that were deleted. Read only. */
export class StolenBucket implements ObjectStore {
  readonly #newest: ReadonlyMap<string, Uint8Array>;

  private constructor(newest: ReadonlyMap<string, Uint8Array>) {
    this.#newest = newest;
  }

  /**
   * @param directory of the bucket at the stand-in, which may be running
   * @param prefix of every key of that node
   * @throws {KmsError} BAD_ENCODING
   */
  static async read(directory: string, prefix: string): Promise<StolenBucket> {
    const objects = join(directory, 'objects');
    const newest = new Map<string, Version>();
    for (const name of await nodeFiles.list(objects)) {
      const sequence = parseFileName(name)?.sequence;
      await using file = await opened(join(objects, name));
      if (sequence === undefined || file === undefined) continue;
      const { header, bodyOffset } = await readHeader(file);
      const known = newest.get(header.key);
      if (header.marker || !header.key.startsWith(prefix) || (known?.sequence ?? -1) > sequence) continue;
      const bytes = Uint8Array.from(await file.read(bodyOffset, file.sizeBytes - bodyOffset));
      newest.set(header.key, { sequence, bytes });
    }
    return new StolenBucket(
      new Map([...newest].map(([key, { bytes }]) => [key.slice(prefix.length), bytes])),
    );
  }

  /** Without those objects: the bucket of an earlier day. */
  without(isLater: (key: string) => boolean): StolenBucket {
    return new StolenBucket(new Map([...this.#newest].filter(([key]) => !isLater(key))));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#newest.get(key)?.slice();
  }

  async list(prefix: string): Promise<readonly string[]> {
    return [...this.#newest.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  async create(): Promise<never> {
    throw new KmsError('STORE_FAILED', 'a stolen bucket is only read');
  }

  /** The thief keeps everything. */
  async delete(): Promise<void> {}
}

async function opened(path: string) {
  const file = await nodeFiles.open(path);
  return file && { ...file, [Symbol.asyncDispose]: () => file.close() };
}
