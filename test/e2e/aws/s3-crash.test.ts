import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../infra/local/process.ts';
import { S3Server } from '../../../infra/local/s3/server.ts';
import { dyingCredential } from './dying-credential.ts';

const Bucket = 'bucket';
/** Between the effects to die at: each costs a process, and the unit tests die at every one. */
const STRIDE = 3;
const ENTRY = join(import.meta.dirname, 'dying-s3.ts');

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-s3-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function clientOf(endpoint: string): S3Client {
  const { accessKeyId, secretAccessKey } = dyingCredential;
  const credentials = { accessKeyId, secretAccessKey };
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1, credentials });
}

/** Undefined if there is none. */
async function read(client: S3Client, Key: string): Promise<string | undefined> {
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return await Body?.transformToString();
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined;
    throw error;
  }
}

/** Each a write that is done or not; what the objects a and m hold after it. */
const writes: readonly {
  readonly run: (client: S3Client) => Promise<unknown>;
  readonly after: readonly [a: string | undefined, m: string | undefined];
}[] = [
  { run: (client) => put(client, 'one'), after: ['one', undefined] },
  { run: (client) => put(client, 'two'), after: ['two', undefined] },
  { run: (client) => assemble(client, 'parts'), after: ['two', 'parts'] },
  {
    run: (client) => client.send(new DeleteObjectCommand({ Bucket, Key: 'a' })),
    after: [undefined, 'parts'],
  },
  { run: (client) => put(client, 'three'), after: ['three', 'parts'] },
];

function put(client: S3Client, Body: string): Promise<unknown> {
  return client.send(new PutObjectCommand({ Bucket, Key: 'a', Body }));
}

async function assemble(client: S3Client, Body: string): Promise<unknown> {
  const place = { Bucket, Key: 'm' };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
  const upload = { ...place, UploadId };
  const part = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body }));
  const MultipartUpload = { Parts: [{ ...part, PartNumber: 1 }] };
  return client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload }));
}

/** How many writes were acknowledged before the process killed itself. */
async function writeUntilDeath(effects: number): Promise<number> {
  const port = await freePort();
  const child = spawn(process.execPath, [ENTRY, directory, `${port}`, `${effects}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  const client = clientOf(`http://127.0.0.1:${port}`);
  let done = 0;
  try {
    for (const { run } of writes) {
      await run(client);
      done += 1;
    }
    child.kill('SIGKILL');
  } catch {
    // It is dead.
  } finally {
    client.destroy();
    const [, signal] = await ended;
    expect(signal).toBe('SIGKILL');
  }
  return done;
}

describe('s3 stand-in: kill -9', () => {
  it('s3 stand-in: a process that kills itself at any effect loses nothing that it acknowledged', async () => {
    let survived = 0;
    for (let effects = 0; survived === 0; effects += STRIDE) {
      await rm(directory, { recursive: true });
      await serving(async (client) => void (await client.send(new CreateBucketCommand({ Bucket }))));
      const done = await writeUntilDeath(effects);
      if (done === writes.length) survived = effects;
      await serving(async (client) => {
        const found = [await read(client, 'a'), await read(client, 'm')];
        const possible = [writes[done - 1]?.after ?? [undefined, undefined], writes[done]?.after];
        expect(possible).toContainEqual(found);
        expect(await readdir(join(directory, Bucket, 'staging'))).toEqual([]);
        await put(client, 'and on');
        expect(await read(client, 'a')).toBe('and on');
      });
    }
    expect(survived).toBeGreaterThan(20);
  }, 300_000);
});

/** The directory under an honest server. */
async function serving(use: (client: S3Client) => Promise<void>): Promise<void> {
  const server = await S3Server.open({ directory, credentials: [dyingCredential] });
  const client = clientOf(await server.listen(0));
  try {
    await use(client);
  } finally {
    client.destroy();
    await server.close();
  }
}
