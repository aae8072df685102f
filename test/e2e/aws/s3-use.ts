import { createHash, randomBytes } from 'node:crypto';
import {
  GetObjectCommand,
  type GetObjectCommandInput,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';

/** A service that the cases run against. */
export interface S3Target {
  /** With right credentials, one attempt per request. */
  client(changes?: S3ClientConfig): S3Client;
  /** Without versioning. */
  readonly bucket: string;
  /** Versioning enabled. */
  readonly versioned: string;
  /** 12 digits: owns both buckets. */
  readonly account: string;
}

export interface S3Case {
  readonly name: string;
  /** Why an implementation is not asked. */
  readonly not?: Readonly<Record<string, string>>;
  run(use: S3Use): Promise<void>;
}

/** What a case has in its hands: a client, and a prefix of its own. */
export class S3Use {
  readonly client: S3Client;
  readonly target: S3Target;
  readonly prefix: string;

  constructor(target: S3Target, client: S3Client, run: string) {
    this.target = target;
    this.client = client;
    this.prefix = `conformance/${run}/${randomBytes(4).toString('hex')}/`;
  }

  key(name: string): string {
    return this.prefix + name;
  }

  put(name: string, Body: string | Uint8Array, more: Partial<PutObjectCommandInput> = {}) {
    const place = { Bucket: this.target.bucket, Key: this.key(name) };
    return this.client.send(new PutObjectCommand({ ...place, Body, ...more }));
  }

  async get(name: string, more: Partial<GetObjectCommandInput> = {}) {
    const place = { Bucket: this.target.bucket, Key: this.key(name) };
    const output = await this.client.send(new GetObjectCommand({ ...place, ...more }));
    return { ...output, bytes: Buffer.from((await output.Body?.transformToByteArray()) ?? []) };
  }

  async text(name: string, more: Partial<GetObjectCommandInput> = {}): Promise<string> {
    return (await this.get(name, more)).bytes.toString();
  }

  /** Keys without the prefix of the case. */
  async list(more: { StartAfter?: string; MaxKeys?: number; Prefix?: string } = {}): Promise<string[]> {
    const keys: string[] = [];
    for (let token: string | undefined; ; ) {
      const page = await this.client.send(
        new ListObjectsV2Command({
          ...{ Bucket: this.target.bucket, Prefix: this.prefix },
          ...more,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      keys.push(...(page.Contents ?? []).map((one) => (one.Key ?? '').slice(this.prefix.length)));
      token = page.NextContinuationToken;
      if (token === undefined) return keys;
    }
  }
}

/** Name and status of the refusal. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof S3ServiceException) return `${error.$metadata.httpStatusCode} ${error.name}`;
    throw error;
  }
  return 'accepted';
}

export function digest(algorithm: string, bytes: string | Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('base64');
}

export const MIB = 2 ** 20;
