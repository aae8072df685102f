import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { KmsError } from '../../../shared/errors.ts';
import { BucketIndex } from './bucket-index.ts';
import type { Files, ReadableFile } from './files.ts';
import { fileNameOf, keyDigest, NULL_VERSION, type ObjectVersion, parseFileName } from './object-version.ts';
import { readHeader } from './record.ts';
import { S3Error } from './s3-error.ts';
import { type Staged, Staging } from './staging.ts';
import { Turn } from './turn.ts';

export type Versioning = 'off' | 'Enabled' | 'Suspended';

/** Throws if the write must not happen. Called when no other write can come between. */
export type Condition = (current: ObjectVersion | undefined, deletedSince: boolean) => void;

/** Forgotten ones turn a 409 into a 412 or 404. */
const MAX_REMEMBERED_DELETIONS = 10_000;

/** What a deletion did. */
export interface Deletion {
  /** The marker that was made, or the version that was removed. */
  readonly versionId: string | undefined;
  readonly marker: boolean;
}

/**
 * A bucket's objects. A version is a file, which appears by one rename: its name says which key, in which order, which
 * version. When a method's promise resolves, its effect is durable; readers see it from then on.
 */
export class Bucket {
  readonly staging: Staging;
  readonly #files: Files;
  readonly #directory: string;
  readonly #index: BucketIndex;
  readonly #turn = new Turn();
  #sequence: number;
  /** Sequence of the last deletion of a key, for conflicts with conditional writes that had begun. */
  readonly #deletions = new Map<string, number>();
  #broken = false;

  private constructor(
    files: Files,
    directory: string,
    staging: Staging,
    index: BucketIndex,
    sequence: number,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.staging = staging;
    this.#index = index;
    this.#sequence = sequence;
  }

  /**
   * Reads the directory, which is created if there is none, and removes what crashed writes left.
   * @throws {KmsError} STORE_FAILED if a file in it is not one of ours
   */
  static async open(files: Files, directory: string): Promise<Bucket> {
    const objects = join(directory, 'objects');
    const staging = await Staging.open(files, join(directory, 'staging'));
    await files.makeDirectory(objects);
    const index = new BucketIndex();
    let sequence = 0;
    for (const file of await files.list(objects)) {
      const version = await readVersion(files, objects, file);
      sequence = Math.max(sequence, version.sequence);
      // A crash came between the rename of a null version and the removal of the one before it.
      const known = index.find(version.key, version.versionId);
      const stale = known !== undefined && known.sequence > version.sequence ? version : known;
      if (stale !== undefined) await files.remove(join(objects, stale.file));
      if (stale !== version) index.add(version);
    }
    await files.syncDirectory(objects);
    return new Bucket(files, objects, staging, index, sequence);
  }

  keys(): readonly string[] {
    return this.#index.keys();
  }

  /** Newest first, with delete markers. */
  versionsOf(key: string): readonly ObjectVersion[] {
    return this.#index.of(key);
  }

  /** Undefined if there is none or the newest is a delete marker. */
  current(key: string): ObjectVersion | undefined {
    const newest = this.#index.of(key)[0];
    return newest?.marker ? undefined : newest;
  }

  /** To be given to commit, by a request that begins now. */
  get now(): number {
    return this.#sequence;
  }

  /** Asks the condition of a write that is to come: it may refuse now what it would refuse then. */
  check(key: string, since: number, condition: Condition): void {
    condition(this.current(key), (this.#deletions.get(key) ?? 0) > since);
  }

  /** The body's file, also of a version that is removed meanwhile. Undefined if it is gone. */
  async openBody(version: ObjectVersion): Promise<ReadableFile | undefined> {
    return this.#files.open(join(this.#directory, version.file));
  }

  /** Makes the staged record the newest version of its key, unless the condition throws; then it is discarded. */
  async commit(
    staged: Staged,
    versioning: Versioning,
    since: number = this.#sequence,
    condition: Condition = () => {},
  ): Promise<ObjectVersion> {
    try {
      return await this.#turn.take(() => {
        this.check(staged.header.key, since, condition);
        return this.#add(staged, versioning);
      });
    } catch (error) {
      await this.staging.discard(staged).catch(() => {});
      throw error;
    }
  }

  /** Removes the version, or without an id hides or removes the object, as versioning says. */
  delete(
    key: string,
    versionId: string | undefined,
    versioning: Versioning,
    nowMs: number,
  ): Promise<Deletion> {
    return this.#turn.take(async () => {
      if (versionId !== undefined || versioning === 'off') {
        const version = this.#index.find(key, versionId ?? NULL_VERSION);
        if (version !== undefined) await this.#remove(version);
        return { versionId, marker: version?.marker ?? false };
      }
      const header = { key, marker: true, etag: '', lastModifiedMs: nowMs, metadata: {} };
      const marker = await this.#add(await this.staging.write(header, []), versioning);
      this.#noteDeletion(key, marker.sequence);
      return { versionId: marker.versionId, marker: true };
    });
  }

  async #add(staged: Staged, versioning: Versioning): Promise<ObjectVersion> {
    const { header, bodyOffset, sizeBytes } = staged;
    const sequence = ++this.#sequence;
    const versionId = versioning === 'Enabled' ? randomBytes(16).toString('hex') : NULL_VERSION;
    const file = fileNameOf(header.key, sequence, versionId);
    const version = { ...header, versionId, sequence, bodyOffset, sizeBytes, file };
    return this.#durably(async () => {
      await this.#files.rename(staged.path, join(this.#directory, file));
      await this.#files.syncDirectory(this.#directory);
      const replaced = this.#index.add(version);
      if (replaced !== undefined) await this.#files.remove(join(this.#directory, replaced.file));
      return version;
    });
  }

  #remove(version: ObjectVersion): Promise<void> {
    return this.#durably(async () => {
      await this.#files.remove(join(this.#directory, version.file));
      await this.#files.syncDirectory(this.#directory);
      this.#index.remove(version);
      this.#noteDeletion(version.key, ++this.#sequence);
    });
  }

  #noteDeletion(key: string, sequence: number): void {
    this.#deletions.delete(key);
    this.#deletions.set(key, sequence);
    const [oldest] = this.#deletions.keys();
    if (this.#deletions.size > MAX_REMEMBERED_DELETIONS && oldest !== undefined)
      this.#deletions.delete(oldest);
  }

  /** After an effect that failed half-way the disk may differ from the index: nothing is written until a restart. */
  async #durably<T>(effects: () => Promise<T>): Promise<T> {
    if (this.#broken) throw new S3Error('ServiceUnavailable', 'a write failed; restart the server');
    try {
      return await effects();
    } catch (error) {
      this.#broken = true;
      throw error;
    }
  }
}

async function readVersion(files: Files, directory: string, file: string): Promise<ObjectVersion> {
  const path = join(directory, file);
  const failed = (cause?: unknown): KmsError =>
    new KmsError('STORE_FAILED', `${path} is no version of an object, or damaged`, { cause });
  const name = parseFileName(file);
  const opened = await files.open(path);
  if (name === undefined || opened === undefined) throw failed();
  try {
    const { header, bodyOffset } = await readHeader(opened);
    if (keyDigest(header.key) !== name.digest) throw failed();
    const { sequence, versionId } = name;
    return { ...header, sequence, versionId, bodyOffset, sizeBytes: opened.sizeBytes - bodyOffset, file };
  } catch (cause) {
    throw failed(cause);
  } finally {
    await opened.close();
  }
}
