import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { KmsError } from '../../../shared/errors.ts';
import type { ChecksumAlgorithm, ChecksumType } from './checksum.ts';
import type { Files, ReadableFile } from './files.ts';
import { type RecordHeader, readHeader } from './record.ts';
import { S3Error } from './s3-error.ts';
import type { Staged, Staging } from './staging.ts';
import { Turn } from './turn.ts';

export interface Part {
  readonly number: number;
  readonly header: RecordHeader;
  readonly sizeBytes: number;
  readonly bodyOffset: number;
}

/** A multipart upload that is neither completed nor aborted. */
export interface Upload {
  readonly id: string;
  readonly key: string;
  readonly initiatedMs: number;
  /** Of the object that it becomes. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
  readonly parts: ReadonlyMap<number, Part>;
}

interface OpenUpload extends Upload {
  readonly parts: Map<number, Part>;
  readonly turn: Turn;
}

export const MAX_PARTS = 10_000;
const MAX_UPLOADS = 1_000;
const uploadShape = /^([0-9a-f]{32})\.upload$/;
const partShape = /^([0-9a-f]{32})\.(\d{5})$/;

/** The multipart uploads of a bucket: `<id>.upload` holds what was said at the start, `<id>.<number>` a part. */
export class Uploads {
  readonly #files: Files;
  readonly #directory: string;
  readonly #staging: Staging;
  readonly #open: Map<string, OpenUpload>;

  private constructor(files: Files, directory: string, staging: Staging, open: Map<string, OpenUpload>) {
    this.#files = files;
    this.#directory = directory;
    this.#staging = staging;
    this.#open = open;
  }

  /**
   * Removes parts of uploads that ended.
   * @param completed whether an object was made of the upload
   * @throws {KmsError} STORE_FAILED
   */
  static async open(
    files: Files,
    directory: string,
    staging: Staging,
    completed: (key: string, id: string) => boolean,
  ): Promise<Uploads> {
    await files.makeDirectory(directory);
    const names = await files.list(directory);
    const open = new Map<string, OpenUpload>();
    for (const name of names) {
      const id = uploadShape.exec(name)?.[1];
      if (id === undefined) continue;
      const { header } = await readRecord(files, join(directory, name));
      if (completed(header.key, id)) await files.remove(join(directory, name));
      else open.set(id, uploadOf(id, header));
    }
    for (const name of names.filter((one) => !uploadShape.test(one))) {
      const [, id = '', number] = partShape.exec(name) ?? [];
      const upload = open.get(id);
      if (upload === undefined) await files.remove(join(directory, name));
      else {
        const record = await readRecord(files, join(directory, name));
        upload.parts.set(Number(number), { number: Number(number), ...record });
      }
    }
    return new Uploads(files, directory, staging, open);
  }

  /** By key, then by id. */
  all(): readonly Upload[] {
    return [...this.#open.values()];
  }

  /** @throws {S3Error} NoSuchUpload */
  get(key: string, id: string): Upload {
    return this.#find(key, id);
  }

  async create(
    header: Pick<RecordHeader, 'key' | 'metadata' | 'lastModifiedMs'>,
    checksum: Upload['checksum'],
  ): Promise<Upload> {
    if (this.#open.size >= MAX_UPLOADS)
      throw new S3Error('SlowDown', 'too many uploads are open; abort some');
    const id = randomBytes(16).toString('hex');
    const record = { ...header, marker: false, etag: '', checksum: { ...checksum, value: '' } };
    await this.#place(await this.#staging.write(record, []), `${id}.upload`);
    const upload = uploadOf(id, record);
    this.#open.set(id, upload);
    return upload;
  }

  /** @throws {S3Error} NoSuchUpload also if it ended while the part was written */
  async addPart(key: string, id: string, number: number, staged: Staged): Promise<void> {
    const upload = this.#find(key, id);
    await upload.turn.take(async () => {
      if (this.#open.get(id) !== upload) {
        await this.#staging.discard(staged);
        throw noSuchUpload();
      }
      await this.#place(staged, partName(id, number));
      const { header, sizeBytes, bodyOffset } = staged;
      upload.parts.set(number, { number, header, sizeBytes, bodyOffset });
    });
  }

  /** While `make` runs no part changes; when it has resolved the upload is over. */
  async complete<T>(key: string, id: string, make: (upload: Upload) => Promise<T>): Promise<T> {
    const upload = this.#find(key, id);
    return upload.turn.take(async () => {
      if (this.#open.get(id) !== upload) throw noSuchUpload();
      const made = await make(upload);
      this.#open.delete(id);
      // The object says which upload it was made of: what a crash leaves here is removed at the next start.
      await this.#erase(upload);
      return made;
    });
  }

  async abort(key: string, id: string): Promise<void> {
    const upload = this.#find(key, id);
    await upload.turn.take(async () => {
      if (!this.#open.delete(id)) throw noSuchUpload();
      await this.#erase(upload);
    });
  }

  /** @throws {KmsError} STORE_FAILED */
  async openPart(upload: Upload, part: Part): Promise<ReadableFile> {
    const path = join(this.#directory, partName(upload.id, part.number));
    const file = await this.#files.open(path);
    if (file === undefined) throw new KmsError('STORE_FAILED', `${path} is gone`);
    return file;
  }

  #find(key: string, id: string): OpenUpload {
    const upload = this.#open.get(id);
    if (upload === undefined || upload.key !== key) throw noSuchUpload();
    return upload;
  }

  async #place(staged: Staged, name: string): Promise<void> {
    await this.#files.rename(staged.path, join(this.#directory, name));
    await this.#files.syncDirectory(this.#directory);
  }

  async #erase(upload: Upload): Promise<void> {
    await this.#files.remove(join(this.#directory, `${upload.id}.upload`));
    await this.#files.syncDirectory(this.#directory);
    for (const number of upload.parts.keys()) {
      await this.#files.remove(join(this.#directory, partName(upload.id, number)));
    }
  }
}

function uploadOf(id: string, header: RecordHeader): OpenUpload {
  const { key, lastModifiedMs, metadata, checksum } = header;
  if (checksum === undefined)
    throw new KmsError('STORE_FAILED', `the upload ${id} has no checksum algorithm`);
  return {
    id,
    key,
    initiatedMs: lastModifiedMs,
    metadata,
    checksum: { algorithm: checksum.algorithm, type: checksum.type },
    parts: new Map(),
    turn: new Turn(),
  };
}

async function readRecord(
  files: Files,
  path: string,
): Promise<{ header: RecordHeader; bodyOffset: number; sizeBytes: number }> {
  const file = await files.open(path);
  if (file === undefined) throw new KmsError('STORE_FAILED', `${path} is gone`);
  try {
    const { header, bodyOffset } = await readHeader(file);
    return { header, bodyOffset, sizeBytes: file.sizeBytes - bodyOffset };
  } catch (cause) {
    throw new KmsError('STORE_FAILED', `${path} is damaged`, { cause });
  } finally {
    await file.close();
  }
}

function partName(id: string, number: number): string {
  return `${id}.${`${number}`.padStart(5, '0')}`;
}

function noSuchUpload(): S3Error {
  return new S3Error('NoSuchUpload', 'the upload does not exist, was aborted or is complete');
}
