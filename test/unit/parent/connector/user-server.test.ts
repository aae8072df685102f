import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freshIdentity } from '../../../../infra/local/chains/front-identity.ts';
import { USER_KEY_BYTES } from '../../../../parent/connector/user-keys.ts';
import { UserServer, type UserServerOptions } from '../../../../parent/connector/user-server.ts';
import { KmsError } from '../../../../shared/errors.ts';
import { freePort } from '../../net/nodes.ts';

let server: UserServer;
let options: UserServerOptions;
let url: string;
let port: number;
let put: [string, Uint8Array][];
let asked: (readonly [string, string | undefined])[];
let waits: Promise<void> | undefined;
let keysAsked: string[];
let keySignals: AbortSignal[];
/** Pieces of the key 11..11; a failure in their place ends them. */
let pieces: (Uint8Array | KmsError)[];

beforeEach(async () => {
  [put, asked, waits] = [[], [], undefined];
  [keysAsked, keySignals, pieces] = [[], [], [new Uint8Array([1, 2]), new Uint8Array([3])]];
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
  options = {
    listen: { host: '127.0.0.1', port },
    party: 3,
    userKeys: {
      async put(hash, key) {
        if (key.length !== USER_KEY_BYTES) throw new KmsError('BAD_INPUT', 'size');
        put.push([hash, key]);
      },
    },
    shares: {
      async share(request, digest) {
        asked.push([request, digest]);
        await waits;
        return request === '5' ? new Uint8Array([1, 2, 3]) : undefined;
      },
    },
    keys: {
      async *certifiedKey(key, signal) {
        keysAsked.push(key);
        keySignals.push(signal);
        for (const piece of pieces) {
          if (piece instanceof KmsError) throw piece;
          yield piece;
          await waits;
        }
      },
    },
  };
  server = await UserServer.open(options);
});

afterEach(() => server.close());

const hash = createHash('sha256').update('a').digest('hex');
const putKey = (body: Uint8Array, path = `/user-keys/${hash}`): Promise<Response> =>
  fetch(`${url}${path}`, { method: 'PUT', body: body as BodyInit });

describe('user server', () => {
  test('user server: keys come in under their hash, of their size', async () => {
    expect((await putKey(new Uint8Array(USER_KEY_BYTES).fill(1))).status).toBe(204);
    expect(put).toEqual([[hash, new Uint8Array(USER_KEY_BYTES).fill(1)]]);
    expect((await putKey(new Uint8Array(USER_KEY_BYTES - 1))).status).toBe(400);
    expect((await putKey(new Uint8Array(USER_KEY_BYTES + 1))).status).toBe(413);
    for (const path of ['/user-keys/', '/user-keys/../a', `/user-keys/${hash.toUpperCase()}`, `/x/${hash}`]) {
      expect((await putKey(new Uint8Array(USER_KEY_BYTES), path)).status).toBe(404);
    }
    expect(put).toHaveLength(1);
  });

  test('user server: a body without end is not read to its end', async () => {
    const socket = connect(port, '127.0.0.1');
    let closed = false;
    socket.on('error', () => {}).once('close', () => (closed = true));
    socket.resume();
    socket.write(`PUT /user-keys/${hash} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n`);
    const piece = Buffer.alloc(1000);
    while (!closed) {
      socket.write(`3e8\r\n${piece.toString('latin1')}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(put).toEqual([]);
  });

  test('user server: shares of this party, by request and digest', async () => {
    const response = await fetch(`${url}/shares/5/3`);
    expect(response.status).toBe(200);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect((await fetch(`${url}/shares/5/3/${hash}`)).status).toBe(200);
    expect(asked).toEqual([
      ['5', undefined],
      ['5', hash],
    ]);
    expect((await fetch(`${url}/shares/6/3`)).status).toBe(404);
    for (const path of ['/shares/5/4', '/shares/05/3', '/shares/5/3/x', '/shares/5', '/shares/5/3/', '/']) {
      expect((await fetch(`${url}${path}`)).status).toBe(404);
    }
    expect((await fetch(`${url}/shares/5/3`, { method: 'POST' })).status).toBe(404);
    expect(asked).toHaveLength(3);
  });

  test('user server: only so many shares are in memory at once', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waits = promise;
    const first = Array.from({ length: 8 }, () => fetch(`${url}/shares/5/3`));
    while (asked.length < 8) await new Promise((done) => setTimeout(done, 5));
    expect((await fetch(`${url}/shares/5/3`)).status).toBe(503);
    resolve();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect((await fetch(`${url}/shares/5/3`)).status).toBe(200);
  });

  const key = '11'.repeat(32);
  const getKey = (): Promise<Response> => fetch(`${url}/keys/${key}`);

  test('user server: a key comes as the node serves it, piece by piece', async () => {
    const response = await getKey();
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
    expect(keysAsked).toEqual([key]);
    for (const path of ['/keys/', `/keys/${key}0`, `/keys/${'AB'.repeat(32)}`, `/x/keys/${key}`]) {
      expect((await fetch(`${url}${path}`)).status).toBe(404);
    }
    expect((await fetch(`${url}/keys/${key}`, { method: 'POST' })).status).toBe(404);
    expect(keysAsked).toHaveLength(1);
  });

  test.each([
    ['UNKNOWN_KEY', 404],
    ['UNAVAILABLE', 503],
    ['TIMEOUT', 503],
    ['INTERNAL', 500],
  ] as const)(
    'user server: of a key that the node does not serve (%s) nothing comes',
    async (code, status) => {
      pieces = [new KmsError(code, 'no')];
      expect((await getKey()).status).toBe(status);
    },
  );

  test('user server: a key that ends before its end does not look whole', async () => {
    pieces = [new Uint8Array([1]), new KmsError('UNAVAILABLE', 'gone')];
    const whole = getKey().then((response) => response.arrayBuffer());
    await expect(whole).rejects.toThrow();
  });

  test('user server: only so many keys are sent at once, and none to somebody who has gone', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waits = promise;
    const leaving = new AbortController();
    const first = [
      fetch(`${url}/keys/${key}`, { signal: leaving.signal }),
      ...Array.from({ length: 3 }, getKey),
    ];
    await Promise.all(first);
    expect((await getKey()).status).toBe(503);
    leaving.abort();
    await expect.poll(() => keySignals.filter(({ aborted }) => aborted).length).toBe(1);
    resolve();
    await expect.poll(async () => (await getKey()).status).toBe(200);
  });

  test('user server: a port that is taken is said', async () => {
    await expect(UserServer.open(options)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('user server over TLS', () => {
  let directory: string;
  let files: { readonly certificateFile: string; readonly keyFile: string };
  let cert: string;

  beforeEach(async () => {
    server.close();
    directory = await mkdtemp(join(tmpdir(), 'kms-user-server-'));
    files = { certificateFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') };
    const identity = await freshIdentity();
    cert = identity.cert;
    await writeFile(files.certificateFile, cert);
    await writeFile(files.keyFile, identity.key);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const statusOf = (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      // The name in this certificate is nobody's address.
      const tls = { ca: cert, checkServerIdentity: () => undefined };
      request({ ...tls, host: '127.0.0.1', port, path }, ({ statusCode }) => resolve(statusCode))
        .once('error', reject)
        .end();
    });

  test('user server: with a certificate it speaks TLS, and nothing else', async () => {
    server = await UserServer.open({ ...options, tls: files });
    expect(await statusOf('/shares/5/3')).toBe(200);
    expect(await statusOf('/shares/6/3')).toBe(404);
    await expect(fetch(`${url}/shares/5/3`)).rejects.toThrow();
    expect(asked).toHaveLength(2);
  });

  test('user server: who connects and does not begin TLS is let go after ten seconds', async () => {
    server = await UserServer.open({ ...options, tls: files });
    const idle = connect(port, '127.0.0.1').on('error', () => {});
    await new Promise((closed) => idle.once('close', closed));
  }, 60_000);

  test('user server: a certificate that is none, missing, or of another key is BAD_INPUT, and names the files', async () => {
    const open = () => UserServer.open({ ...options, tls: files });
    const refused = { code: 'BAD_INPUT', message: expect.stringContaining(files.keyFile) };
    await writeFile(files.keyFile, (await freshIdentity()).key);
    await expect(open()).rejects.toMatchObject(refused);
    await writeFile(files.keyFile, 'x');
    await expect(open()).rejects.toMatchObject(refused);
    await rm(files.keyFile);
    await expect(open()).rejects.toMatchObject(refused);
    // Nobody listens.
    await expect(statusOf('/shares/5/3')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
