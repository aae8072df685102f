import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { KmsError } from '../../shared/errors.ts';
import { MAX_ENVELOPE_BYTES } from '../../shared/fhe/envelope.ts';
import type { Hex } from '../adapter/chain-data.ts';
import { type EnvelopeStore, objectName } from './envelope-store.ts';

export interface S3EnvelopesOptions {
  /** Of an S3-compatible store; undefined: AWS. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly bucket: string;
  /** Before every key, with its last `/` if it has one. */
  readonly prefix: string;
  /** Undefined: those of the environment or of the instance's role. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

const ABSENT = new Set(['NoSuchKey', 'NotFound']);
const TIMEOUT_MS = 30_000;

/** Objects of a bucket; S3 checks each upload's SHA-256. */
export class S3Envelopes implements EnvelopeStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ endpoint, region, bucket, prefix, credentials }: S3EnvelopesOptions) {
    this.#client = new S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      // The SDK writes into what it gets.
      ...(credentials === undefined ? {} : { credentials: { ...credentials } }),
    });
    [this.#bucket, this.#prefix] = [bucket, prefix];
  }

  async put(handle: Hex, envelope: Uint8Array): Promise<void> {
    const object = { Bucket: this.#bucket, Key: this.#prefix + objectName(handle), Body: envelope };
    const command = new PutObjectCommand({ ...object, ChecksumAlgorithm: 'SHA256' });
    await stored(() => this.#client.send(command, { abortSignal: AbortSignal.timeout(TIMEOUT_MS) }));
  }

  async get(handle: Hex): Promise<Uint8Array | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: this.#prefix + objectName(handle) });
    return stored(async () => {
      try {
        const abortSignal = AbortSignal.timeout(TIMEOUT_MS);
        const { Body, ContentLength } = await this.#client.send(command, { abortSignal });
        if (Body === undefined || ContentLength === undefined || ContentLength > MAX_ENVELOPE_BYTES) {
          Body?.transformToWebStream()
            .cancel()
            .catch(() => undefined);
          throw new KmsError('TOO_LARGE', `an envelope has at most ${MAX_ENVELOPE_BYTES} bytes`);
        }
        return new Uint8Array(await Body.transformToByteArray());
      } catch (error) {
        if (error instanceof Error && ABSENT.has(error.name)) return undefined;
        throw error;
      }
    });
  }

  close(): void {
    this.#client.destroy();
  }
}

async function stored<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    throw new KmsError('UNAVAILABLE', 'the store of envelopes does not answer', { cause });
  }
}
