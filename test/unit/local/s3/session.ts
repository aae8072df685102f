import { BucketStore } from '../../../../infra/local/s3/bucket-store.ts';
import { dispatch } from '../../../../infra/local/s3/dispatch.ts';
import type { Reply } from '../../../../infra/local/s3/exchange.ts';
import type { Files } from '../../../../infra/local/s3/files.ts';
import type { OperationName } from '../../../../infra/local/s3/operation.ts';
import { utf8 } from '../../../../shared/wire/bytes.ts';

export const BUCKET = 'the-bucket';
const ACCOUNT = '111122223333';
const DIRECTORY = '/s3';

/** One thing a client does; uploads and versions have names of the test. */
export type Step =
  | { readonly do: 'versioning'; readonly status: 'Enabled' | 'Suspended' }
  | { readonly do: 'put'; readonly key: string; readonly body: string }
  | { readonly do: 'delete'; readonly key: string }
  /** The nth newest version, if there is one. */
  | { readonly do: 'deleteVersion'; readonly key: string; readonly nth: number }
  | { readonly do: 'upload'; readonly key: string }
  | { readonly do: 'part'; readonly key: string; readonly number: number; readonly body: string }
  | { readonly do: 'complete'; readonly key: string }
  | { readonly do: 'abort'; readonly key: string };

/** A running store with one bucket, and a client that keeps at most one upload open per key. */
export class Session {
  readonly #store: BucketStore;
  readonly #uploads = new Map<string, string>();

  private constructor(store: BucketStore) {
    this.#store = store;
  }

  static async open(files: Files): Promise<Session> {
    const session = new Session(await BucketStore.open(files, DIRECTORY));
    const bucket = session.#store.get(BUCKET);
    if (bucket === undefined) await session.#call('CreateBucket', undefined);
    for (const upload of bucket?.uploads.all() ?? []) session.#uploads.set(upload.key, upload.id);
    return session;
  }

  async perform(step: Step): Promise<void> {
    if (step.do === 'versioning') {
      const xml = `<VersioningConfiguration><Status>${step.status}</Status></VersioningConfiguration>`;
      await this.#call('PutBucketVersioning', undefined, {}, xml);
      return;
    }
    const { key } = step;
    const uploadId = this.#uploads.get(key);
    if (step.do === 'put') await this.#call('PutObject', key, {}, step.body);
    else if (step.do === 'delete') await this.#call('DeleteObject', key);
    else if (step.do === 'deleteVersion') {
      const versionId = this.#bucket.objects.versionsOf(key)[step.nth]?.versionId;
      if (versionId !== undefined) await this.#call('DeleteObject', key, { versionId });
    } else if (step.do === 'upload') {
      if (uploadId !== undefined) return;
      const xml = textOf(await this.#call('CreateMultipartUpload', key));
      this.#uploads.set(key, /<UploadId>(.*)<\/UploadId>/.exec(xml)?.[1] ?? '');
    } else if (uploadId === undefined) return;
    else if (step.do === 'part') {
      await this.#call('UploadPart', key, { uploadId, partNumber: `${step.number}` }, step.body);
    } else if (step.do === 'abort') {
      await this.#call('AbortMultipartUpload', key, { uploadId });
      this.#uploads.delete(key);
    } else {
      // Only a last part may be small, so an object is made of one.
      const [part] = this.#bucket.uploads.get(key, uploadId).parts.values();
      if (part === undefined) return;
      const named = `<Part><PartNumber>${part.number}</PartNumber><ETag>${part.header.etag}</ETag></Part>`;
      const xml = `<CompleteMultipartUpload>${named}</CompleteMultipartUpload>`;
      await this.#call('CompleteMultipartUpload', key, { uploadId }, xml);
      this.#uploads.delete(key);
    }
  }

  /** All that a client can see, without the ids. */
  async state(): Promise<unknown> {
    const { objects, uploads, settings } = this.#bucket;
    const versions = [];
    for (const key of objects.keys()) {
      for (const { versionId, marker } of objects.versionsOf(key)) {
        const body = marker ? undefined : await this.#body(key, versionId);
        versions.push({ key, isNull: versionId === 'null', marker, body });
      }
    }
    const open = uploads.all().map(({ key, parts }) => ({
      key,
      parts: [...parts.values()].map(({ number, header }) => ({ number, etag: header.etag })),
    }));
    open.sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const { parts } of open) parts.sort((a, b) => a.number - b.number);
    return { versioning: settings.versioning, versions, open };
  }

  /** Files that there should be. */
  get files(): number {
    const { objects, uploads } = this.#bucket;
    const versions = objects.keys().reduce((sum, key) => sum + objects.versionsOf(key).length, 0);
    return 1 + versions + uploads.all().reduce((sum, { parts }) => sum + 1 + parts.size, 0);
  }

  get #bucket() {
    const bucket = this.#store.get(BUCKET);
    if (bucket === undefined) throw new Error('the bucket is gone');
    return bucket;
  }

  async #body(key: string, versionId: string): Promise<string> {
    const { body } = await this.#call('GetObject', key, { versionId });
    if (typeof body !== 'object') throw new Error('no body');
    const chunks: Uint8Array[] = [];
    for await (const chunk of body.bytes) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  #call(
    operation: OperationName,
    key: string | undefined,
    query: Readonly<Record<string, string>> = {},
    body = '',
  ): Promise<Reply> {
    const bucket = this.#store.get(BUCKET);
    const exchange = {
      call: { operation, bucket: BUCKET, key, accessKeyId: 'A', account: ACCOUNT },
      caller: { accessKeyId: 'A', secretAccessKey: 'a', account: ACCOUNT },
      query: new Map(Object.entries(query)),
      headers: {},
      body: utf8(body),
      trailers: new Map<string, string>(),
      store: this.#store,
      faults: {},
      nowMs: 1_700_000_000_000,
      lose: false,
    };
    return dispatch(exchange, bucket, bucket?.objects.now ?? 0);
  }
}

function textOf(reply: Reply): string {
  return typeof reply.body === 'string' ? reply.body : '';
}
