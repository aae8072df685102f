import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Files } from './files.ts';
import { encodeHeader, type RecordHeader } from './record.ts';

/** A record whose bytes are on the disk under a name that does not count yet. */
export interface Staged {
  readonly header: RecordHeader;
  readonly path: string;
  readonly bodyOffset: number;
  readonly sizeBytes: number;
}

export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** The directory of records that are being written. What is in it at start-up belongs to nobody. */
export class Staging {
  readonly #files: Files;
  readonly #directory: string;

  private constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  static async open(files: Files, directory: string): Promise<Staging> {
    await files.makeDirectory(directory);
    for (const file of await files.list(directory)) await files.remove(join(directory, file));
    return new Staging(files, directory);
  }

  /** The caller commits it by renaming its file, or discards it. */
  async write(header: RecordHeader, body: Chunks): Promise<Staged> {
    const path = join(this.#directory, randomBytes(16).toString('hex'));
    const prefix = encodeHeader(header);
    let sizeBytes = 0;
    async function* all(): AsyncGenerator<Uint8Array> {
      yield prefix;
      for await (const chunk of body) {
        sizeBytes += chunk.length;
        yield chunk;
      }
    }
    try {
      await this.#files.writeSynced(path, all());
    } catch (error) {
      await this.#files.remove(path).catch(() => {});
      throw error;
    }
    return { header, path, bodyOffset: prefix.length, sizeBytes };
  }

  discard(staged: Staged): Promise<void> {
    return this.#files.remove(staged.path);
  }
}
