import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureVersion } from 'node:tls';
import { promisify } from 'node:util';
import { KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type EndpointOptions, endpointHandler, PinnedAgent } from '../../../../enclave/aws/endpoint.ts';
import {
  type EndpointCertificate,
  issueEndpointCertificate,
} from '../../../../infra/local/aws/endpoint-certificate.ts';
import { ENDPOINT_ROOTS as labRoots } from '../../../../shared/attestation/roots/lab.ts';
import { ENDPOINT_ROOTS as mockRoots } from '../../../../shared/attestation/roots/mock.ts';
import { codeOf } from '../../../../shared/errors.ts';
import { REGION } from '../../../simulator/kms.ts';

const HOST = `kms.${REGION}.amazonaws.com`;
const DAY_MS = 86_400_000;
const directory = mkdtempSync(join(tmpdir(), 'kms-endpoint-'));
const servers: Server[] = [];
let good: EndpointCertificate;

beforeAll(async () => {
  good = await issueEndpointCertificate('mock', [HOST]);
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Terms {
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  readonly ciphers?: string;
}

/** An HTTPS server with this certificate. @returns its port */
async function serving(certificate: EndpointCertificate, terms: Terms = {}): Promise<number> {
  return listening(createHttpsServer({ ...certificate, ...terms }, (_, response) => response.end('{}')));
}

function listening(server: Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** @returns `open`, or the code of the refusal */
function opening(port: number, host = HOST, change: Partial<EndpointOptions> = {}): Promise<string> {
  const agent = new PinnedAgent({
    ...{ hosts: [HOST], roots: mockRoots, maxAnswerBytes: 1000 },
    connect: async () => connect(port, '127.0.0.1').on('error', () => {}),
    ...change,
  });
  return new Promise((resolve) => {
    agent.createConnection({ host }, (error, stream) => {
      stream?.destroy();
      resolve(error === null ? 'open' : codeOf(error));
    });
  });
}

describe('endpoint: who may answer', () => {
  it('endpoint: the named host under the pinned roots, by TLS 1.3 and 1.2', async () => {
    expect(await opening(await serving(good))).toBe('open');
    expect(await opening(await serving(good, { maxVersion: 'TLSv1.2' }))).toBe('open');
  });

  it('endpoint: another root, another name and another time are BAD_PEER', async () => {
    const foreign = await issueEndpointCertificate('lab', [HOST]);
    expect(await opening(await serving(foreign))).toBe('BAD_PEER');
    expect(await opening(await serving(foreign), HOST, { roots: labRoots })).toBe('open');
    for (const name of [
      'kms.us-east-1.amazonaws.com',
      's3.eu-central-1.amazonaws.com',
      '*.amazonaws.com',
    ] as const) {
      expect(await opening(await serving(await issueEndpointCertificate('mock', [name])))).toBe('BAD_PEER');
    }
    for (const atMs of [Date.now() - 100 * DAY_MS, Date.now() + 3 * DAY_MS]) {
      expect(await opening(await serving(await issueEndpointCertificate('mock', [HOST], atMs)))).toBe(
        'BAD_PEER',
      );
    }
  });

  it('endpoint: old TLS, and ciphers that are not forward secret, are refused', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await opening(await serving(good, old))).toBe('UNAVAILABLE');
    const cbc = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' } as const;
    expect(await opening(await serving(good, cbc))).toBe('UNAVAILABLE');
  });

  it('endpoint: what speaks no TLS, hangs up or is not there is UNAVAILABLE', async () => {
    const plain = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'));
    expect(await opening(await listening(plain))).toBe('UNAVAILABLE');
    const closing = createServer((socket) => socket.destroy());
    expect(await opening(await listening(closing))).toBe('UNAVAILABLE');
  });

  it('endpoint: silence is TIMEOUT', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    expect(await opening(await listening(silent))).toBe('TIMEOUT');
  }, 15_000);

  it('endpoint: no host but the named ones is connected to', async () => {
    const refused: string[] = [];
    const change = {
      connect: async (host: string) => {
        refused.push(host);
        return connect(1, '127.0.0.1').on('error', () => {});
      },
    };
    for (const host of ['kms.us-east-1.amazonaws.com', 'localhost', '169.254.169.254', `${HOST}.`, '']) {
      expect(await opening(1, host, change)).toBe('BAD_INPUT');
    }
    expect(refused).toEqual([]);
  });

  it('endpoint: a client that would speak in the clear is stopped', async () => {
    let reached = 0;
    const plain = createServer((socket) => {
      reached++;
      socket.on('error', () => {}).destroy();
    });
    const port = await listening(plain);
    const client = new KMSClient({
      ...{ region: REGION, maxAttempts: 1, endpoint: `http://127.0.0.1:${port}` },
      credentials: { accessKeyId: 'AKIDEXAMPLEEXAMPLE', secretAccessKey: 'x'.repeat(40) },
      requestHandler: endpointHandler({
        ...{
          connect: async () => connect(port, '127.0.0.1'),
          hosts: [HOST],
          roots: mockRoots,
          maxAnswerBytes: 1000,
        },
      }),
    });
    await expect(client.send(new ListKeysCommand({}))).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(reached).toBe(0);
    client.destroy();
  });

  it("endpoint: without roots or hosts there is none, instead of Node's defaults", () => {
    const options = { connect: async () => connect(1), hosts: [HOST], roots: mockRoots, maxAnswerBytes: 1 };
    for (const change of [{ roots: [] }, { hosts: [] }]) {
      expect(() => new PinnedAgent({ ...options, ...change })).toThrow(
        expect.objectContaining({ code: 'BAD_INPUT' }),
      );
    }
  });
});

describe('endpoint: the environment', () => {
  const pem = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;

  /** Everything that Node and the SDK would listen to, turned to the enemy. */
  function hostile(): NodeJS.ProcessEnv {
    const roots = join(directory, 'roots.pem');
    writeFileSync(roots, labRoots.map(pem).join(''));
    const config = join(directory, 'config');
    writeFileSync(
      config,
      '[default]\nendpoint_url = https://evil.invalid\nregion = us-east-1\nmax_attempts = 9\n',
    );
    return {
      ...{
        PATH: process.env.PATH,
        NODE_EXTRA_CA_CERTS: roots,
        SSL_CERT_FILE: roots,
        SSL_CERT_DIR: directory,
      },
      ...{ NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_OPTIONS: '--use-openssl-ca --tls-min-v1.0 --no-warnings' },
      ...{
        AWS_CONFIG_FILE: config,
        AWS_SHARED_CREDENTIALS_FILE: config,
        AWS_PROFILE: 'default',
        HOME: directory,
      },
      ...{ AWS_ENDPOINT_URL: 'https://evil.invalid', AWS_ENDPOINT_URL_KMS: 'https://evil.invalid' },
      ...{ AWS_REGION: 'us-east-1', AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true' },
      ...{
        AWS_CA_BUNDLE: roots,
        AWS_MAX_ATTEMPTS: '9',
        AWS_DEFAULTS_MODE: 'auto',
        AWS_ACCESS_KEY_ID: 'AKIAEVIL',
      },
      ...{ HTTPS_PROXY: 'http://evil.invalid', https_proxy: 'http://evil.invalid', NODE_USE_ENV_PROXY: '1' },
    };
  }

  async function probe(port: number): Promise<unknown> {
    const entry = join(import.meta.dirname, 'environment-probe.ts');
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [entry, `${port}`, REGION], {
      env: hostile(),
      timeout: 30_000,
    });
    return JSON.parse(stdout);
  }

  it('endpoint: changes neither whom a client reaches nor whom it believes', async () => {
    const foreign = await serving(await issueEndpointCertificate('lab', [HOST]));
    expect(await probe(foreign)).toEqual({ reached: [HOST], outcome: 'BAD_PEER' });
    expect(await probe(await serving(good))).toEqual({ reached: [HOST], outcome: 'answered' });
  });
});
