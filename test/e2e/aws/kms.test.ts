import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateKeyCommand,
  KMSClient,
  ListKeysCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { KeyStore } from '../../../infra/local/kms/key-store.ts';
import { Principals } from '../../../infra/local/kms/principals.ts';
import { type KmsServer, startKmsServer } from '../../../infra/local/kms/server.ts';
import { freePort } from '../../../infra/local/process.ts';
import { ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { OWNER, REGION } from '../../simulator/kms.ts';
import { type KmsBench, kmsCases } from './kms-cases.ts';

/**
 * One suite, three services, the unmodified SDK: the stand-in; moto_server 5.2 or later if it is on the PATH; AWS itself for
 * whoever sets KMS_CONFORMANCE_AWS_REGION and has credentials in the environment. Keys made on AWS are scheduled for
 * deletion in seven days, and cost until then.
 */
interface Service {
  readonly bench: KmsBench;
  close(): Promise<void>;
}

function benchOf(client: KMSClient, impostor: KMSClient, made: string[] = []): KmsBench {
  const newKey = async (): Promise<string> => {
    const { KeyMetadata } = await client.send(
      new CreateKeyCommand({ Description: 'threshold-kms conformance' }),
    );
    const arn = KeyMetadata?.Arn ?? '';
    made.push(arn);
    return arn;
  };
  return { client, impostor, newKey };
}

function clientAt(
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
): KMSClient {
  return new KMSClient({ endpoint, region: REGION, credentials, maxAttempts: 1 });
}

async function ours(): Promise<Service> {
  const directory = mkdtempSync(join(tmpdir(), 'kms-conformance-'));
  const store = await KeyStore.open(directory);
  const server: KmsServer = await startKmsServer({
    ...{ store, principals: new Principals([OWNER]), region: REGION, roots: ROOTS },
  });
  const endpoint = `http://127.0.0.1:${server.port}`;
  const { accessKeyId, secretAccessKey } = OWNER;
  const client = clientAt(endpoint, { accessKeyId, secretAccessKey });
  const impostor = clientAt(endpoint, { accessKeyId, secretAccessKey: 'x'.repeat(40) });
  return {
    bench: benchOf(client, impostor),
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Undefined without moto_server, or if the Python package beside it is older than 5.2. */
function motoVersion(): string | undefined {
  if (spawnSync('moto_server', ['--help'], { timeout: 20_000 }).status !== 0) return undefined;
  const program = 'import moto; print(moto.__version__)';
  const { stdout } = spawnSync('python3', ['-c', program], { encoding: 'utf8', timeout: 20_000 });
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const isNew = Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 2);
  return isNew ? `moto ${stdout.trim()}` : undefined;
}

async function moto(): Promise<Service> {
  const port = await freePort();
  const child: ChildProcess = spawn('moto_server', ['-H', '127.0.0.1', '-p', `${port}`], { stdio: 'ignore' });
  const endpoint = `http://127.0.0.1:${port}`;
  const client = clientAt(endpoint, { accessKeyId: 'x', secretAccessKey: 'x' });
  for (let attempt = 0; attempt < 100; attempt++) {
    const isUp = await client.send(new ListKeysCommand({})).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    await sleep(200);
  }
  return {
    bench: benchOf(client, client),
    close: async () => {
      child.kill('SIGKILL');
    },
  };
}

async function aws(region: string): Promise<Service> {
  const client = new KMSClient({ region });
  const { accessKeyId } = await client.config.credentials();
  const impostor = new KMSClient({ region, credentials: { accessKeyId, secretAccessKey: 'x'.repeat(40) } });
  const made: string[] = [];
  return {
    bench: benchOf(client, impostor, made),
    close: async () => {
      for (const KeyId of made) {
        // Some cases have scheduled it already.
        await client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 })).catch(() => {});
      }
    },
  };
}

function suite(name: string, open: () => Promise<Service>, isMoto: boolean): void {
  describe(`KMS conformance: ${name}`, () => {
    let service: Service;
    beforeAll(async () => {
      service = await open();
    });
    afterAll(() => service.close());
    for (const { name: of, motoDiffers, run } of kmsCases) {
      const isSkipped = isMoto && motoDiffers !== undefined;
      it.skipIf(isSkipped)(`${name}: ${of}${isSkipped ? ` (moto: ${motoDiffers})` : ''}`, () =>
        run(service.bench),
      );
    }
  });
}

suite('stand-in', ours, false);

const version = motoVersion();
if (version === undefined) {
  process.stderr.write('SKIPPED: KMS conformance of moto: no moto_server 5.2 or later on the PATH\n');
  it.skip('KMS conformance: moto (no moto_server 5.2 or later on the PATH)', () => {});
} else {
  suite(version, moto, true);
}

const region = process.env.KMS_CONFORMANCE_AWS_REGION;
if (region === undefined) {
  process.stderr.write('SKIPPED: KMS conformance of AWS: KMS_CONFORMANCE_AWS_REGION is not set\n');
  it.skip('KMS conformance: AWS (KMS_CONFORMANCE_AWS_REGION is not set)', () => {});
} else {
  suite('AWS', () => aws(region), false);
}
