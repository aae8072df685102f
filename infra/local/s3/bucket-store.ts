import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { KmsError } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { Bucket, type Versioning } from './bucket.ts';
import type { Files } from './files.ts';
import { S3Error } from './s3-error.ts';
import { Turn } from './turn.ts';
import { Uploads } from './uploads.ts';

/** What bucket.json holds: a bucket exists when this file does. */
export interface BucketSettings {
  /** 12 digits: who owns the bucket. */
  readonly account: string;
  readonly createdMs: number;
  readonly versioning: Versioning;
}

export interface OpenBucket {
  readonly name: string;
  readonly settings: BucketSettings;
  readonly objects: Bucket;
  readonly uploads: Uploads;
}

const SETTINGS = 'bucket.json';
const MAX_SETTINGS_BYTES = 4096;
const MAX_BUCKETS = 1_000;

/** All buckets of a server, each a directory. */
export class BucketStore {
  readonly #files: Files;
  readonly #directory: string;
  readonly #buckets: Map<string, OpenBucket>;
  readonly #turn = new Turn();

  private constructor(files: Files, directory: string, buckets: Map<string, OpenBucket>) {
    this.#files = files;
    this.#directory = directory;
    this.#buckets = buckets;
  }

  /** Creates the directory on first use and removes what a crash left. @throws {KmsError} STORE_FAILED */
  static async open(files: Files, directory: string): Promise<BucketStore> {
    await files.makeDirectory(directory);
    const buckets = new Map<string, OpenBucket>();
    for (const name of await files.list(directory)) {
      const settings = await readSettings(files, join(directory, name));
      if (settings !== undefined)
        buckets.set(name, await openBucket(files, join(directory, name), name, settings));
    }
    return new BucketStore(files, directory, buckets);
  }

  get(name: string): OpenBucket | undefined {
    return this.#buckets.get(name);
  }

  /** @throws {S3Error} BucketAlreadyExists, BucketAlreadyOwnedByYou */
  create(name: string, account: string, createdMs: number): Promise<void> {
    return this.#turn.take(async () => {
      const known = this.#buckets.get(name);
      if (known !== undefined) {
        if (known.settings.account !== account)
          throw new S3Error('BucketAlreadyExists', 'another account owns this bucket');
        throw new S3Error('BucketAlreadyOwnedByYou', 'you own this bucket already');
      }
      if (this.#buckets.size >= MAX_BUCKETS) throw new S3Error('SlowDown', 'there are too many buckets');
      const directory = join(this.#directory, name);
      const settings: BucketSettings = { account, createdMs, versioning: 'off' };
      const bucket = await openBucket(this.#files, directory, name, settings);
      await this.#write(directory, settings);
      this.#buckets.set(name, bucket);
    });
  }

  setVersioning(name: string, versioning: Versioning): Promise<void> {
    return this.#turn.take(async () => {
      const bucket = this.#buckets.get(name);
      if (bucket === undefined) throw new S3Error('NoSuchBucket', 'the bucket does not exist');
      const settings = { ...bucket.settings, versioning };
      await this.#write(join(this.#directory, name), settings);
      this.#buckets.set(name, { ...bucket, settings });
    });
  }

  async #write(directory: string, settings: BucketSettings): Promise<void> {
    const temporary = join(directory, `${randomBytes(8).toString('hex')}.tmp`);
    await this.#files.writeSynced(temporary, [utf8(`${JSON.stringify(settings)}\n`)]);
    await this.#files.rename(temporary, join(directory, SETTINGS));
    await this.#files.syncDirectory(directory);
  }
}

async function openBucket(
  files: Files,
  directory: string,
  name: string,
  settings: BucketSettings,
): Promise<OpenBucket> {
  await files.makeDirectory(directory);
  for (const file of await files.list(directory)) {
    if (file.endsWith('.tmp')) await files.remove(join(directory, file));
  }
  const objects = await Bucket.open(files, directory);
  const uploads = await Uploads.open(files, join(directory, 'uploads'), objects.staging, (key, id) =>
    objects.versionsOf(key).some((version) => version.uploadId === id),
  );
  return { name, settings, objects, uploads };
}

/** Undefined if the creation of the bucket was interrupted. */
async function readSettings(files: Files, directory: string): Promise<BucketSettings | undefined> {
  const path = join(directory, SETTINGS);
  const file = await files.open(path);
  if (file === undefined) return undefined;
  try {
    const text = new TextDecoder().decode(await file.read(0, MAX_SETTINGS_BYTES));
    const settings: BucketSettings = JSON.parse(text);
    const { account, createdMs, versioning } = settings;
    if (!/^\d{12}$/.test(account) || !Number.isSafeInteger(createdMs)) throw new TypeError('bad field');
    if (!['off', 'Enabled', 'Suspended'].includes(versioning)) throw new TypeError('bad versioning');
    return settings;
  } catch (cause) {
    throw new KmsError('STORE_FAILED', `${path} is damaged`, { cause });
  } finally {
    await file.close();
  }
}
