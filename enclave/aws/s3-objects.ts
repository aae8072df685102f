import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { KmsError } from '../../shared/errors.ts';
import { s3Host } from '../../shared/network/storage.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Pace, Patience } from './attempts.ts';
import { AUTH_SCHEMES, CLIENT_SETTINGS } from './client-settings.ts';
import type { CredentialProvider } from './credentials.ts';
import { type EndpointOptions, endpointHandler } from './endpoint.ts';
import { LentRequests } from './lent-requests.ts';

export interface S3ObjectsOptions {
  readonly region: string;
  /** Owner of the bucket: requests to anybody else's are refused. */
  readonly account: string;
  readonly bucket: string;
  /** Of every key, with its last `/`. */
  readonly prefix: string;
  readonly credentials: CredentialProvider;
  readonly connect: EndpointOptions['connect'];
  readonly roots: readonly Uint8Array[];
  readonly patience?: Patience;
  readonly pace?: Pace;
  readonly nowMs?: () => number;
}

const PATIENCE: Patience = { totalMs: 15_000, attemptMs: 10_000 };
const MAX_LISTED = 100_000;
/** S3 takes no more in one request. */
const MAX_DELETED = 1_000;
const MAX_ANSWER_BYTES = 600 << 20;

/** S3's names for what a condition on a key found. */
const EXISTS = new Set(['PreconditionFailed']);
const ABSENT = new Set(['NoSuchKey', 'NotFound']);
const PASSING = new Set(['ConditionalRequestConflict', 'SlowDown']);

/**
 * A node's part of its bucket, through the unmodified SDK over TLS that ends here. New objects only, by condition; SHA-256 on
 * the way; the owner of the bucket is stated in each request.
 */
export class S3Objects implements ObjectStore {
  readonly #options: S3ObjectsOptions;
  readonly #handler: NodeHttpHandler;
  readonly #requests: LentRequests<S3Client>;

  constructor(options: S3ObjectsOptions) {
    const { connect, roots, region, credentials, nowMs, pace } = options;
    this.#options = options;
    this.#handler = endpointHandler({
      ...{ connect, roots, hosts: [s3Host(region)], maxAnswerBytes: MAX_ANSWER_BYTES },
    });
    this.#requests = new LentRequests({
      ...{ credentials, nowMs, pace, patience: options.patience ?? PATIENCE },
      isPassing: (error) => error instanceof Error && PASSING.has(error.name),
      open: (lent) =>
        new S3Client({
          ...CLIENT_SETTINGS,
          authSchemePreference: [...AUTH_SCHEMES],
          ...{ region, endpoint: `https://${s3Host(region)}`, forcePathStyle: true },
          ...{ requestHandler: this.#handler, credentials: lent },
          ...{ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_SUPPORTED' },
          ...{ disableMultiregionAccessPoints: true, useArnRegion: false, useAccelerateEndpoint: false },
          ...{ disableS3ExpressSessionAuth: true, followRegionRedirects: false },
        }),
    });
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#send('GetObject', async (s3, abortSignal) => {
      try {
        const answer = await s3.send(new GetObjectCommand(this.#of(key)), { abortSignal });
        const { Body, ContentLength } = answer;
        if (Body === undefined || ContentLength === undefined || ContentLength > maxBytes) {
          throw new KmsError('TOO_LARGE', `an object has at most ${maxBytes} bytes here`);
        }
        return await Body.transformToByteArray();
      } catch (error) {
        if (error instanceof Error && ABSENT.has(error.name)) return undefined;
        throw error;
      }
    });
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return this.#send('PutObject', async (s3, abortSignal) => {
      try {
        const command = new PutObjectCommand({
          ...this.#of(key),
          ...{ Body: bytes, ContentLength: bytes.length, IfNoneMatch: '*', ChecksumAlgorithm: 'SHA256' },
        });
        await s3.send(command, { abortSignal });
        return 'created';
      } catch (error) {
        if (error instanceof Error && EXISTS.has(error.name)) return 'exists';
        throw error;
      }
    });
  }

  async delete(...keys: readonly string[]): Promise<void> {
    for (let done = 0; done < keys.length; done += MAX_DELETED) {
      const Objects = keys.slice(done, done + MAX_DELETED).map((key) => ({ Key: this.#of(key).Key }));
      const { Errors = [] } = await this.#send('DeleteObjects', (s3, abortSignal) =>
        s3.send(new DeleteObjectsCommand({ ...this.#bucket, Delete: { Objects, Quiet: true } }), {
          abortSignal,
        }),
      );
      if (Errors.length > 0) throw new KmsError('STORE_FAILED', `S3 keeps ${Errors.length} objects`);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    const whole = this.#options.prefix;
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const { Contents, NextContinuationToken } = await this.#send('ListObjectsV2', (s3, abortSignal) =>
        s3.send(
          new ListObjectsV2Command({
            ...this.#bucket,
            Prefix: whole + prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      );
      for (const { Key } of Contents ?? []) if (Key?.startsWith(whole)) keys.push(Key.slice(whole.length));
      if (keys.length > MAX_LISTED) throw new KmsError('TOO_LARGE', 'the bucket lists too many objects');
      token = NextContinuationToken;
    } while (token !== undefined);
    return keys.sort();
  }

  close(): void {
    this.#handler.destroy();
  }

  get #bucket(): { readonly Bucket: string; readonly ExpectedBucketOwner: string } {
    const { bucket, account } = this.#options;
    return { Bucket: bucket, ExpectedBucketOwner: account };
  }

  #of(key: string): { readonly Bucket: string; readonly ExpectedBucketOwner: string; readonly Key: string } {
    return { ...this.#bucket, Key: this.#options.prefix + key };
  }

  async #send<T>(what: string, request: (s3: S3Client, signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#requests.send(what, request);
    } catch (error) {
      throw failureOf(what, error);
    }
  }
}

function failureOf(what: string, error: unknown): KmsError {
  if (error instanceof KmsError) {
    return error.code === 'KMS_UNAVAILABLE'
      ? new KmsError('UNAVAILABLE', `S3 has not answered ${what} in time`, { cause: error })
      : error;
  }
  const name = error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : 'unknown error';
  return new KmsError('STORE_FAILED', `S3 refuses ${what}: ${name}`, { cause: error });
}
