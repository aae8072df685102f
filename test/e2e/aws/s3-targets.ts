import { execFile, spawn } from 'node:child_process';
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import 'reflect-metadata';
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { freePort } from '../../../infra/local/process.ts';
import { S3Server } from '../../../infra/local/s3/server.ts';
import type { S3Target } from './s3-use.ts';

export interface RunningTarget {
  readonly target: S3Target;
  stop(): Promise<void>;
}

const REGION = 'eu-west-1';
const ACCOUNT = '111122223333';
/** The SDK writes into what it gets: each client has its own. */
const credentials = () => ({ accessKeyId: 'AKIALOCALTEST0000001', secretAccessKey: 'a secret/of+the=test' });
const MIN_MOTO: readonly [number, number] = [5, 2];
const START_TIMEOUT_MS = 40_000;

function clientOf(fixed: S3ClientConfig): S3Target['client'] {
  return (changes = {}) => new S3Client({ ...fixed, maxAttempts: 1, ...changes });
}

async function withBuckets(client: S3Target['client'], account: string): Promise<S3Target> {
  const one = client();
  try {
    for (const Bucket of ['plain', 'versioned']) await one.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await one.send(new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration }));
  } finally {
    one.destroy();
  }
  return { client, bucket: 'plain', versioned: 'versioned', account };
}

/** The stand-in, in this process, over HTTP. */
export async function localTarget(): Promise<RunningTarget> {
  const directory = await mkdtemp(join(tmpdir(), 'kms-s3-'));
  const one = { ...credentials(), account: ACCOUNT };
  const server = await S3Server.open({ directory, region: REGION, credentials: [one] });
  const endpoint = await server.listen(0);
  const client = clientOf({ endpoint, region: REGION, credentials: credentials(), forcePathStyle: true });
  return {
    target: await withBuckets(client, ACCOUNT),
    async stop() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The stand-in as its own process, over TLS, with temporary credentials. */
export async function localProcessTarget(): Promise<RunningTarget> {
  const root = await mkdtemp(join(tmpdir(), 'kms-s3-'));
  const path = (name: string): string => join(root, name);
  const { certificate, key } = await selfSigned();
  const port = await freePort();
  const sessionToken = 'a token/of+the=session';
  await writeFile(path('certificate.pem'), certificate);
  await writeFile(path('key.pem'), key, { mode: 0o600 });
  const config = {
    listen: `127.0.0.1:${port}`,
    directory: path('buckets'),
    region: REGION,
    credentials: [{ ...credentials(), account: ACCOUNT, sessionToken, expires: '2999-01-01T00:00:00Z' }],
    tls: { certificateFile: path('certificate.pem'), keyFile: path('key.pem') },
  };
  await writeFile(path('config.json'), JSON.stringify(config), { mode: 0o600 });
  const child = spawn(process.execPath, ['infra/local/s3/main.ts', '--config', path('config.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const first = await Promise.race([lines.next(), ended, sleep(START_TIMEOUT_MS, undefined, { ref: false })]);
  const endpoint = `https://127.0.0.1:${port}`;
  if (first?.value !== JSON.stringify({ ready: endpoint })) {
    child.kill('SIGKILL');
    throw new Error('the server did not become ready');
  }
  const httpsAgent = new Agent({ ca: certificate, keepAlive: true });
  const client = clientOf({
    ...{ endpoint, region: REGION, forcePathStyle: true },
    credentials: { ...credentials(), sessionToken },
    requestHandler: new NodeHttpHandler({ httpsAgent }),
  });
  return {
    target: await withBuckets(client, ACCOUNT),
    async stop() {
      httpsAgent.destroy();
      child.kill('SIGTERM');
      await ended;
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function selfSigned(): Promise<{ certificate: string; key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ name: 'CN=local s3', keys, signingAlgorithm: algorithm },
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
  };
}

/** Why moto_server cannot be asked; undefined: it can. */
export async function motoMissing(): Promise<string | undefined> {
  const command = await onPath('moto_server');
  if (command === undefined) return 'no moto_server on the PATH';
  // It has no --version: the interpreter in its first line knows.
  const head = (await readFile(command, 'utf8')).split('\n')[0] ?? '';
  const python = /^#!(\/\S*python\S*)$/.exec(head)?.[1] ?? 'python3';
  try {
    const ask = 'import importlib.metadata as m; print(m.version("moto"))';
    const { stdout } = await promisify(execFile)(python, ['-c', ask], { timeout: START_TIMEOUT_MS });
    const [major = 0, minor = 0] = stdout.trim().split('.').map(Number);
    const enough = major > MIN_MOTO[0] || (major === MIN_MOTO[0] && minor >= MIN_MOTO[1]);
    return enough ? undefined : `moto ${stdout.trim()} is older than ${MIN_MOTO.join('.')}`;
  } catch {
    return 'the version of moto cannot be found';
  }
}

async function onPath(name: string): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Perhaps in the next one.
    }
  }
  return undefined;
}

export async function motoTarget(): Promise<RunningTarget> {
  const port = await freePort();
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', `${port}`], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!(await isUp(endpoint))) {
    if (performance.now() > deadlineMs) {
      child.kill('SIGKILL');
      throw new Error('moto_server did not start');
    }
    await sleep(100);
  }
  const region = 'us-east-1';
  const client = clientOf({ endpoint, region, credentials: credentials(), forcePathStyle: true });
  return {
    target: await withBuckets(client, '123456789012'),
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function isUp(endpoint: string): Promise<boolean> {
  try {
    await (await fetch(endpoint)).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Why no other service can be asked; undefined: the environment names one. */
export function awsMissing(): string | undefined {
  const names = ['KMS_S3_BUCKET', 'KMS_S3_VERSIONED_BUCKET', 'KMS_S3_ACCOUNT', 'KMS_S3_REGION'];
  const missing = names.filter((name) => (process.env[name] ?? '') === '');
  return missing.length === 0 ? undefined : `not set: ${missing.join(', ')}`;
}

/** @param run objects below conformance/<run>/ are removed at the end */
export async function awsTarget(run: string): Promise<RunningTarget> {
  const { KMS_S3_BUCKET, KMS_S3_VERSIONED_BUCKET, KMS_S3_ACCOUNT, KMS_S3_REGION, KMS_S3_ENDPOINT } =
    process.env;
  const client = clientOf({
    region: KMS_S3_REGION ?? '',
    ...(KMS_S3_ENDPOINT === undefined ? {} : { endpoint: KMS_S3_ENDPOINT, forcePathStyle: true }),
  });
  const buckets = { bucket: KMS_S3_BUCKET ?? '', versioned: KMS_S3_VERSIONED_BUCKET ?? '' };
  return {
    target: { client, ...buckets, account: KMS_S3_ACCOUNT ?? '' },
    async stop() {
      const one = client();
      for (const Bucket of Object.values(buckets)) await erase(one, Bucket, `conformance/${run}/`);
      one.destroy();
    },
  };
}

async function erase(client: S3Client, Bucket: string, Prefix: string): Promise<void> {
  for (;;) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix }));
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    const Objects = all.map(({ Key = '', VersionId = '' }) => ({ Key, VersionId }));
    if (Objects.length === 0) return;
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
}
