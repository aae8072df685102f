import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Headers } from '../../../../infra/local/aws/canonical-request.ts';
import { SignatureV4Error } from '../../../../infra/local/aws/signature-fault.ts';
import { MAX_SKEW_MS, verifySignatureV4 } from '../../../../infra/local/aws/signature-v4.ts';

const EMPTY = createHash('sha256').update('').digest('hex');
const REGION = 'us-east-1';

interface Published {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  /** Besides host and x-amz-date. */
  readonly headers?: Headers;
  readonly payloadHash?: string;
  readonly signature: string;
}

// AWS's test suite for Signature Version 4.
const suite = { host: 'example.amazonaws.com', service: 'service', date: '20150830T123600Z' };
const suiteSecret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const VANILLA = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
const general: readonly Published[] = [
  { name: 'get-vanilla', signature: VANILLA },
  { name: 'get-relative', path: '/example/..', signature: VANILLA },
  { name: 'get-slash', path: '//', signature: VANILLA },
  { name: 'get-slash-dot-slash', path: '/./', signature: VANILLA },
  {
    name: 'get-vanilla-query-order-key-case',
    query: 'Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  {
    name: 'get-unreserved',
    path: '/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  {
    name: 'get-header-value-trim',
    headers: { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  {
    name: 'post-vanilla',
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
];

// Examples of the S3 API Reference, "Authenticating Requests: Using the Authorization Header".
const s3 = { host: 'examplebucket.s3.amazonaws.com', service: 's3', date: '20130524T000000Z' };
const s3Secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const putHash = createHash('sha256').update('Welcome to Amazon S3.').digest('hex');
const ofS3: readonly Published[] = [
  {
    name: 'GET object',
    path: '/test.txt',
    headers: { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT object',
    method: 'PUT',
    path: '/test%24file.text',
    headers: {
      date: 'Fri, 24 May 2013 00:00:00 GMT',
      'x-amz-content-sha256': putHash,
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    },
    payloadHash: putHash,
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET bucket lifecycle',
    query: 'lifecycle',
    headers: { 'x-amz-content-sha256': EMPTY },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'GET bucket',
    query: 'max-keys=2&prefix=J',
    headers: { 'x-amz-content-sha256': EMPTY },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

type Origin = typeof suite;

function instant(date: string): number {
  return Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function requestOf(origin: Origin, secret: string, one: Published) {
  const headers: Record<string, string | readonly string[] | undefined> = {
    host: origin.host,
    'x-amz-date': origin.date,
    ...one.headers,
  };
  const names = Object.keys(headers).sort().join(';');
  const scope = `${origin.date.slice(0, 8)}/${REGION}/${origin.service}/aws4_request`;
  headers.authorization = `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${one.signature}`;
  if (origin === s3) {
    headers.authorization = headers.authorization.replace('AKIDEXAMPLE', 'AKIAIOSFODNN7EXAMPLE');
  }
  return {
    method: one.method ?? 'GET',
    path: one.path ?? '/',
    query: one.query ?? '',
    headers,
    payloadHash: one.payloadHash ?? EMPTY,
    service: origin.service,
    region: REGION,
    nowMs: instant(origin.date),
    secretOf: (id: string) => (/^AKI(?:DEXAMPLE|AIOSFODNN7EXAMPLE)$/.test(id) ? secret : undefined),
  };
}

type Request = ReturnType<typeof requestOf>;

function faultOf(request: Request): SignatureV4Error {
  try {
    verifySignatureV4(request);
  } catch (error) {
    if (error instanceof SignatureV4Error) return error;
    throw error;
  }
  throw new Error('the request was accepted');
}

describe('signature version 4', () => {
  for (const one of general) {
    it(`signature version 4: AWS's test suite, ${one.name}`, () => {
      const verified = verifySignatureV4(requestOf(suite, suiteSecret, one));
      expect(verified.accessKeyId).toBe('AKIDEXAMPLE');
    });
  }

  for (const one of ofS3) {
    it(`signature version 4: S3's published example, ${one.name}`, () => {
      const verified = verifySignatureV4(requestOf(s3, s3Secret, one));
      expect(verified.signature).toBe(one.signature);
      expect(verified.scope).toBe('20130524/us-east-1/s3/aws4_request');
    });
  }

  const put = ofS3[1]!;
  const base = requestOf(s3, s3Secret, put);
  const withHeader = (name: string, value: string | undefined): Request => ({
    ...base,
    headers: { ...base.headers, [name]: value },
  });
  const authorization = String(base.headers.authorization);
  const edited = (from: string | RegExp, to: string): Request =>
    withHeader('authorization', authorization.replace(from, to));

  const attacks: readonly [string, Request, string][] = [
    ['another method', { ...base, method: 'DELETE' }, 'mismatch'],
    ['another path', { ...base, path: '/test%24file.texu' }, 'mismatch'],
    ['another query', { ...base, query: 'versionId=1' }, 'mismatch'],
    ['another payload', { ...base, payloadHash: EMPTY }, 'mismatch'],
    ['another host', withHeader('host', 'otherbucket.s3.amazonaws.com'), 'mismatch'],
    ['a signed header changed', withHeader('x-amz-storage-class', 'STANDARD'), 'mismatch'],
    ['a signed header removed', withHeader('x-amz-storage-class', undefined), 'mismatch'],
    ['an unsigned x-amz header added', withHeader('x-amz-copy-source', 'other/object'), 'unsigned-header'],
    ['the host not signed', edited('date;host;', 'date;'), 'unsigned-header'],
    ['another secret', { ...base, secretOf: () => suiteSecret }, 'mismatch'],
    ['an unknown key', { ...base, secretOf: () => undefined }, 'unknown-key'],
    ['another region', { ...base, region: 'eu-west-1' }, 'scope'],
    ['another service', { ...base, service: 'kms' }, 'scope'],
    ['another day in the scope', edited('/20130524/', '/20130525/'), 'scope'],
    ['no signature', withHeader('authorization', undefined), 'missing'],
    ['one digit less', edited(/.$/, ''), 'malformed'],
    ['headers not sorted', edited('date;host', 'host;date'), 'malformed'],
    ['a header twice', edited('date;host', 'date;date;host'), 'malformed'],
    ['another algorithm', edited('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'), 'malformed'],
    [
      'a long Authorization',
      withHeader('authorization', authorization + ' '.repeat(9) + 'x'.repeat(5000)),
      'malformed',
    ],
    ['a day that does not exist', withHeader('x-amz-date', '20130230T000000Z'), 'malformed'],
    ['a bad percent encoding', { ...base, path: '/%zz' }, 'malformed'],
    ['too late', { ...base, nowMs: base.nowMs + MAX_SKEW_MS + 1 }, 'skewed'],
    ['too early', { ...base, nowMs: base.nowMs - MAX_SKEW_MS - 1 }, 'skewed'],
  ];
  for (const [name, request, kind] of attacks) {
    it(`signature version 4: refuses ${name}`, () => {
      expect(faultOf(request).kind).toBe(kind);
    });
  }

  it('signature version 4: a signature stands for 15 minutes', () => {
    for (const skew of [-MAX_SKEW_MS, MAX_SKEW_MS]) verifySignatureV4({ ...base, nowMs: base.nowMs + skew });
  });

  it('signature version 4: errors have the names of the service', () => {
    expect(faultOf({ ...base, method: 'GET' })).toMatchObject({ code: 'SignatureDoesNotMatch', status: 403 });
    const other = requestOf(suite, suiteSecret, { ...general[0]!, method: 'PUT' });
    expect(faultOf(other)).toMatchObject({ code: 'InvalidSignatureException', status: 400 });
  });
});

describe("signature version 4: the SDK's own signer", () => {
  const secret = 'a secret of the test';
  const outcomes: unknown[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const [path, query] = splitTarget(request.url ?? '');
    const service = request.headers['x-amz-target'] === undefined ? 's3' : 'kms';
    const body = createHash('sha256').update(Buffer.concat(chunks)).digest('hex');
    const stated = request.headers['x-amz-content-sha256'];
    try {
      outcomes.push(
        verifySignatureV4({
          method: request.method ?? '',
          path,
          query,
          headers: request.headers,
          payloadHash: typeof stated === 'string' ? stated : body,
          service,
          region: REGION,
          nowMs: Date.now(),
          secretOf: (id) => (id === 'AKIATEST' ? secret : undefined),
        }),
      );
    } catch (error) {
      outcomes.push(error);
    }
    response.writeHead(400).end();
  });
  let endpoint = '';

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    endpoint = `http://127.0.0.1:${address.port}`;
  });
  afterAll(() => void server.close());

  const credentials = {
    accessKeyId: 'AKIATEST',
    secretAccessKey: secret,
    sessionToken: 'a/token+of=a session',
  };
  const options = () => ({ endpoint, region: REGION, credentials, maxAttempts: 1, forcePathStyle: true });
  const attempt = (promise: Promise<unknown>) => promise.catch(() => {});

  it('signature version 4: requests of the S3 client with hard names verify', async () => {
    using client = disposable(new S3Client(options()));
    const keys = ['a', 'a b', "it's (a) *key*!", 'ü/ሴ/🙂', 'a//b/./../c', '+&=?#%25', '~-._'];
    for (const Key of keys) {
      const object = { Bucket: 'bucket', Key };
      await attempt(client.send(new PutObjectCommand({ ...object, Body: 'x', Metadata: { a: '  b   c ' } })));
      await attempt(client.send(new GetObjectCommand({ ...object, VersionId: 'a+b/c=' })));
      await attempt(client.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix: Key, Delimiter: '/' })));
    }
    expect(outcomes.splice(0)).toEqual(
      Array.from({ length: 3 * keys.length }, () =>
        expect.objectContaining({ accessKeyId: 'AKIATEST', sessionToken: credentials.sessionToken }),
      ),
    );
  });

  it('signature version 4: requests of the KMS client verify', async () => {
    using client = disposable(new KMSClient(options()));
    await attempt(client.send(new DescribeKeyCommand({ KeyId: 'alias/a' })));
    expect(outcomes.splice(0)).toEqual([expect.objectContaining({ accessKeyId: 'AKIATEST' })]);
  });

  it('signature version 4: the client with another secret does not verify', async () => {
    const other = { ...credentials, secretAccessKey: `${secret}.` };
    using client = disposable(new KMSClient({ ...options(), credentials: other }));
    await attempt(client.send(new DescribeKeyCommand({ KeyId: 'alias/a' })));
    expect(outcomes.splice(0)).toEqual([expect.objectContaining({ kind: 'mismatch' })]);
  });
});

function splitTarget(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

function disposable<T extends { destroy(): void }>(client: T): T & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() });
}
