import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fate, S3Faults } from '../../../../infra/local/s3/faults.ts';
import { nodeFiles } from '../../../../infra/local/s3/files.ts';
import { S3Error } from '../../../../infra/local/s3/s3-error.ts';
import { S3Server, type S3ServerOptions } from '../../../../infra/local/s3/server.ts';

const owner = { accessKeyId: 'OWNER', secretAccessKey: 'o', account: '111111111111' };
const stranger = { accessKeyId: 'STRANGER', secretAccessKey: 's', account: '222222222222' };
const guest = {
  ...{ accessKeyId: 'GUEST', secretAccessKey: 'g', account: '111111111111' },
  ...{ sessionToken: 'token', expiresMs: Date.parse('2030-01-01') },
};
const Bucket = 'bucket';

let directory = '';
let server: S3Server;
let endpoint = '';
let client: S3Client;
const clients: S3Client[] = [];
let nowMs: number | undefined;

async function start(more: Partial<S3ServerOptions> = {}): Promise<void> {
  const credentials = [owner, stranger, guest];
  server = await S3Server.open({ directory, credentials, now: () => nowMs ?? Date.now(), ...more });
  endpoint = await server.listen(0);
  client = clientOf(owner);
}

function clientOf(
  {
    accessKeyId,
    secretAccessKey,
    sessionToken,
  }: { accessKeyId: string; secretAccessKey: string; sessionToken?: string },
  changes: S3ClientConfig = {},
): S3Client {
  const token = sessionToken === undefined ? {} : { sessionToken };
  const made = new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 },
    credentials: { accessKeyId, secretAccessKey, ...token },
    ...changes,
  });
  clients.push(made);
  return made;
}

beforeEach(async () => {
  nowMs = undefined;
  directory = await mkdtemp(join(tmpdir(), 'kms-s3-'));
  await start();
  await client.send(new CreateBucketCommand({ Bucket }));
});

afterEach(async () => {
  for (const one of clients.splice(0)) one.destroy();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

const put = (Key: string, Body: string, more: Partial<PutObjectCommandInput> = {}) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));

async function get(Key: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? '';
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof S3ServiceException && error.$metadata.httpStatusCode !== undefined
      ? `${error.$metadata.httpStatusCode} ${error.name}`
      : 'no answer';
  }
  return 'accepted';
}

function faults(change: S3Faults): void {
  server.faults = change;
}

describe('s3 stand-in: who may', () => {
  it('s3 stand-in: only the account that owns a bucket uses it', async () => {
    await put('a', 'one');
    const other = clientOf(stranger);
    const denied = '403 AccessDenied';
    expect(await refusal(other.send(new GetObjectCommand({ Bucket, Key: 'a' })))).toBe(denied);
    expect(await refusal(other.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' })))).toBe(denied);
    expect(await refusal(other.send(new DeleteObjectCommand({ Bucket, Key: 'a' })))).toBe(denied);
    expect(await refusal(other.send(new ListObjectsV2Command({ Bucket })))).toBe(denied);
    expect(await refusal(other.send(new CreateBucketCommand({ Bucket })))).toBe('409 BucketAlreadyExists');
    expect(await refusal(client.send(new CreateBucketCommand({ Bucket })))).toBe(
      '409 BucketAlreadyOwnedByYou',
    );
    expect(await get('a')).toBe('one');
  });

  it('s3 stand-in: no copy out of the bucket of another account', async () => {
    const other = clientOf(stranger);
    await other.send(new CreateBucketCommand({ Bucket: 'other' }));
    await other.send(new PutObjectCommand({ Bucket: 'other', Key: 'a', Body: 'private' }));
    const copy = { Bucket, Key: 'copy', CopySource: 'other/a' };
    expect(await refusal(client.send(new CopyObjectCommand(copy)))).toBe('403 AccessDenied');
    expect(await refusal(get('copy'))).toBe('404 NoSuchKey');
  });

  it('s3 stand-in: temporary credentials need their token and end', async () => {
    const head = new HeadBucketCommand({ Bucket });
    const list = () => new ListObjectsV2Command({ Bucket });
    expect(await refusal(clientOf(guest).send(head))).toBe('accepted');
    expect(await refusal(clientOf({ ...guest, sessionToken: 'other' }).send(list()))).toBe(
      '400 InvalidToken',
    );
    const { accessKeyId, secretAccessKey } = guest;
    expect(await refusal(clientOf({ accessKeyId, secretAccessKey }).send(list()))).toBe('400 InvalidToken');
    nowMs = guest.expiresMs;
    const later = { systemClockOffset: guest.expiresMs - Date.now() };
    expect(await refusal(clientOf(guest, later).send(list()))).toBe('400 ExpiredToken');
    expect(await refusal(clientOf(owner, later).send(list()))).toBe('accepted');
  });

  it('s3 stand-in: what it does not do it refuses, and does not ignore', async () => {
    const not = '501 NotImplemented';
    expect(await refusal(put('a', 'x', { ServerSideEncryption: 'aws:kms' }))).toBe(not);
    expect(await refusal(put('a', 'x', { ACL: 'public-read' }))).toBe(not);
    expect(await refusal(put('a', 'x', { IfNoneMatch: '"0"' }))).toBe(not);
    const match = { Bucket, Key: 'a', IfMatch: '"0"' };
    expect(await refusal(client.send(new DeleteObjectCommand(match)))).toBe(not);
    expect(await refusal(get('a'))).toBe('404 NoSuchKey');
  });
});

describe('s3 stand-in: limits', () => {
  it('s3 stand-in: keys have 1024 bytes, metadata 2 KiB, bodies 64 MiB', async () => {
    expect(await refusal(put('k'.repeat(1024), 'x'))).toBe('accepted');
    expect(await refusal(put('k'.repeat(1025), 'x'))).toBe('400 KeyTooLongError');
    expect(await refusal(put('a', 'x', { Metadata: { m: 'v'.repeat(2047) } }))).toBe('accepted');
    expect(await refusal(put('a', 'x', { Metadata: { m: 'v'.repeat(2048) } }))).toBe('400 MetadataTooLarge');
    const large = (bytes: number) =>
      client.send(new PutObjectCommand({ Bucket, Key: 'large', Body: new Uint8Array(bytes) }));
    expect(await refusal(large(64 * 2 ** 20))).toBe('accepted');
    expect(await refusal(large(64 * 2 ** 20 + 1))).toMatch(/^(?:400 EntityTooLarge|no answer)$/);
    for (const name of ['', 'A', 'ab', '-abc', 'a..b', '1.2.3.4', 'x'.repeat(64)]) {
      if (name !== '')
        expect(await refusal(client.send(new CreateBucketCommand({ Bucket: name })))).not.toBe('accepted');
    }
  });

  it('s3 stand-in: bytes that are no request end their connection only', async () => {
    const { port } = new URL(endpoint);
    for (const text of [
      'GARBAGE\r\n\r\n',
      `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
      'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
      'PUT /bucket/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n',
      'GET http://other/ HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n',
    ]) {
      expect(await exchangeRaw(Number(port), text)).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    const twice = 'GET /bucket HTTP/1.1\r\nhost: x\r\nx-amz-date: 1\r\nX-Amz-Date: 2\r\n\r\n';
    expect(await exchangeRaw(Number(port), twice)).toContain('<Code>InvalidRequest</Code>');
    await put('a', 'one');
    expect(await get('a')).toBe('one');
  });
});

describe('s3 stand-in: faults', () => {
  const throwing = (code: ConstructorParameters<typeof S3Error>[0], operation = 'PutObject'): S3Faults => ({
    before: (call) => {
      if (call.operation === operation) throw new S3Error(code, 'a fault of the test');
      return 'serve';
    },
  });

  it('s3 stand-in: denied, throttled, full', async () => {
    for (const [code, status] of [
      ['AccessDenied', 403],
      ['SlowDown', 503],
      ['ServiceUnavailable', 503],
      ['InternalError', 500],
      ['ConditionalRequestConflict', 409],
    ] as const) {
      faults(throwing(code));
      expect(await refusal(put('a', 'x'))).toBe(`${status} ${code}`);
    }
    faults({});
    expect(await refusal(get('a'))).toBe('404 NoSuchKey');
  });

  it('s3 stand-in: the client repeats what was throttled', async () => {
    let left = 2;
    faults({
      before: () => {
        if (left-- > 0) throw new S3Error('SlowDown', 'please reduce your request rate');
        return 'serve';
      },
    });
    const patient = clientOf(owner, { maxAttempts: 3 });
    await patient.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'one' }));
    expect(left).toBe(-1);
    faults({});
    expect(await get('a')).toBe('one');
  });

  it('s3 stand-in: cut before and after the effect, lost, slow', async () => {
    faults({ before: () => 'cut' });
    expect(await refusal(put('before', 'x'))).toBe('no answer');
    faults({ after: () => 'cut' });
    expect(await refusal(put('after', 'x'))).toBe('no answer');
    faults({ before: () => 'lose' });
    expect((await put('lost', 'x')).ETag).toBe('"9dd4e461268c8034f5c8564e155c67a6"');
    const startMs = performance.now();
    faults({ before: () => sleep(300, 'serve' as const) });
    await put('slow', 'x');
    expect(performance.now() - startMs).toBeGreaterThan(290);
    faults({});
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents?.map((one) => one.Key)).toEqual(['after', 'slow']);
  });

  it('s3 stand-in: a corrupted body is noticed by the checksum of the client', async () => {
    await put('a', 'a body of some length');
    faults({
      corrupt: (_, bytes, offset) => bytes.map((byte, i) => (offset + i === 3 ? byte ^ 1 : byte)),
    });
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    await expect(Body?.transformToString()).rejects.toThrow(/[Cc]hecksum/);
    const careless = clientOf(owner, { responseChecksumValidation: 'WHEN_REQUIRED' });
    const got = await careless.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    expect(await got.Body?.transformToString()).toBe('a bndy of some length');
  });

  it('s3 stand-in: a body that ends early breaks its connection', async () => {
    await put('a', 'a body of some length');
    faults({ corrupt: (_, bytes) => bytes.subarray(0, 5) });
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    await expect(Body?.transformToString()).rejects.toThrow();
    faults({});
    expect(await get('a')).toBe('a body of some length');
  });

  it('s3 stand-in: a stale list', async () => {
    await put('a', 'x');
    faults({ list: (_, versions) => versions.filter(({ key }) => key !== 'a') });
    expect((await client.send(new ListObjectsV2Command({ Bucket }))).Contents).toBeUndefined();
    expect(await get('a')).toBe('x');
  });

  it('s3 stand-in: a deletion while a conditional write is under way is a conflict', async () => {
    const { ETag = '' } = await put('a', 'one');
    let entered = () => {};
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    faults({
      before: async (call): Promise<Fate> => {
        if (call.operation !== 'PutObject') return 'serve';
        entered();
        await held;
        return 'serve';
      },
    });
    const write = refusal(put('a', 'two', { IfMatch: ETag }));
    await inside;
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    release();
    expect(await write).toBe('409 ConditionalRequestConflict');
    faults({});
    expect(await refusal(get('a'))).toBe('404 NoSuchKey');
  });

  it('s3 stand-in: a full disk is 503 and leaves nothing', async () => {
    await server.close();
    let full = false;
    await start({
      files: {
        ...nodeFiles,
        writeSynced: async (path, chunks) => {
          if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
          await nodeFiles.writeSynced(path, chunks);
        },
      },
    });
    await put('a', 'one');
    full = true;
    expect(await refusal(put('a', 'two'))).toBe('503 ServiceUnavailable');
    full = false;
    expect(await get('a')).toBe('one');
    await put('a', 'three');
    expect(await readdir(join(directory, Bucket, 'staging'))).toEqual([]);
  });
});

describe('s3 stand-in: uploads', () => {
  it('s3 stand-in: a completion whose answer was lost can be repeated', async () => {
    const place = { Bucket, Key: 'm' };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(place));
    const upload = { ...place, UploadId };
    const part = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'x' }));
    const finish = { ...upload, MultipartUpload: { Parts: [{ ...part, PartNumber: 1 }] } };
    faults({ after: () => 'cut' });
    expect(await refusal(client.send(new CompleteMultipartUploadCommand(finish)))).toBe('no answer');
    faults({});
    const again = await client.send(new CompleteMultipartUploadCommand(finish));
    expect(again.ETag).toMatch(/-1"$/);
    expect(await get('m')).toBe('x');
  });

  it('s3 stand-in: the checksum of the whole is verified, of parts and of the object', async () => {
    const place = { Bucket, Key: 'm' };
    const start = { ...place, ChecksumAlgorithm: 'CRC32' as const, ChecksumType: 'FULL_OBJECT' as const };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(start));
    const upload = { ...place, UploadId };
    const part = await client.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: '123456789' }));
    expect(part.ChecksumCRC32).toBe('y/Q5Jg==');
    const finish = { ...upload, MultipartUpload: { Parts: [{ ...part, PartNumber: 1 }] } };
    const wrong = { ...finish, ChecksumCRC32: 'AAAAAA==' };
    expect(await refusal(client.send(new CompleteMultipartUploadCommand(wrong)))).toBe('400 BadDigest');
    const sized = { ...finish, MpuObjectSize: 8 };
    expect(await refusal(client.send(new CompleteMultipartUploadCommand(sized)))).toBe('400 InvalidRequest');
    const right = { ...finish, ChecksumCRC32: 'y/Q5Jg==', MpuObjectSize: 9 };
    const made = await client.send(new CompleteMultipartUploadCommand(right));
    expect(made).toMatchObject({ ChecksumCRC32: 'y/Q5Jg==', ChecksumType: 'FULL_OBJECT' });
  });

  it('s3 stand-in: checksums of parts make that of the whole', async () => {
    const place = { Bucket, Key: 'm' };
    const start = { ...place, ChecksumAlgorithm: 'SHA256' as const };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(start));
    const upload = { ...place, UploadId };
    const input = { ...upload, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'SHA256' as const };
    const { ETag = '', ChecksumSHA256 = '' } = await client.send(new UploadPartCommand(input));
    const complete = (part: { ETag: string; ChecksumSHA256?: string }) => {
      const Parts = [{ ...part, PartNumber: 1 }];
      return client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }));
    };
    expect(await refusal(complete({ ETag }))).toBe('400 InvalidRequest');
    expect(await refusal(complete({ ETag, ChecksumSHA256: `${'A'.repeat(43)}=` }))).toBe('400 InvalidPart');
    const made = await complete({ ETag, ChecksumSHA256 });
    expect(made.ChecksumSHA256).toMatch(/-1$/);
    expect(made.ChecksumType).toBe('COMPOSITE');
  });
});

describe('s3 stand-in: durability', () => {
  it('s3 stand-in: everything is there after a restart', async () => {
    await put('a', 'one', { Metadata: { m: 'v' } });
    await put('b/ü', 'two');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await put('a', 'three', { Metadata: { m: 'w' } });
    await server.close();
    await start();
    expect(await get('a')).toBe('three');
    expect(await get('b/ü')).toBe('two');
    const { Metadata } = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    expect(Metadata).toEqual({ m: 'w' });
  });
});

function exchangeRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
