import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { ENDPOINT_ROOTS as labRoots } from '../../shared/attestation/roots/lab.ts';
import { ENDPOINT_ROOTS as mockRoots } from '../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Measurement } from '../../shared/network/measurement.ts';
import { type Storage, s3Host } from '../../shared/network/storage.ts';
import { kmsHost } from '../../shared/sealing/key-arn.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { policyFor } from '../kms-policy/policy.ts';
import { issueEndpointCertificate, type StandInClass } from './aws/endpoint-certificate.ts';
import { accepts, freePort, isAlive, type ProcessId, startProcess, stopProcess } from './process.ts';

/** The stand-ins of one local network, as its state file knows them. */
export interface CloudState {
  readonly kms: { readonly port: number; readonly process?: ProcessId };
  readonly s3: { readonly port: number; readonly process?: ProcessId };
}

/** Access keys of one node's account: of the role that its parent lends, and of the operator who made key and bucket. */
interface AccountKeys {
  readonly role: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly operator: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export const REGION = 'eu-central-1';
const KMS_ENTRY = fileURLToPath(new URL('kms/main.ts', import.meta.url));
const S3_ENTRY = fileURLToPath(new URL('s3/main.ts', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

export async function freshCloud(): Promise<CloudState> {
  return { kms: { port: await freePort() }, s3: { port: await freePort() } };
}

/** Number of the account of a party's operator. */
export function accountOf(party: number): string {
  return String(100_000_000_000 + party);
}

function roleOf(party: number): string {
  return `arn:aws:iam::${accountOf(party)}:role/kms-node`;
}

function operatorOf(party: number): string {
  return `arn:aws:iam::${accountOf(party)}:user/operator`;
}

/** KMS and S3 on this machine for one local network: an account, a key and a bucket for each node. DEVELOPMENT ONLY. */
export class LocalCloud {
  readonly #directory: string;
  readonly #n: number;
  readonly #class: StandInClass;

  /**
   * @param directory `cloud` in the network's state directory
   * @param of whose root the enclaves' documents and these services' certificates lead to
   */
  constructor(directory: string, n: number, of: StandInClass) {
    this.#directory = directory;
    this.#n = n;
    this.#class = of;
  }

  /** What a parent reads. */
  credentialsFile(party: number): string {
    return join(this.#directory, 'credentials', `${party}.json`);
  }

  /** Where a parent finds the endpoints of AWS. */
  hosts({ kms, s3 }: CloudState): Readonly<Record<string, string>> {
    return {
      [`${kmsHost(REGION)}:443`]: `127.0.0.1:${kms.port}`,
      [`${s3Host(REGION)}:443`]: `127.0.0.1:${s3.port}`,
    };
  }

  /** Holds buckets; for tests that turn one back. */
  get bucketsDirectory(): string {
    return join(this.#directory, 's3');
  }

  /** Holds the keys of KMS in the clear; for whoever plays the owner of the cloud. */
  get keysDirectory(): string {
    return join(this.#directory, 'kms');
  }

  /**
   * Starts what does not run.
   * @param onStarted told of each process at once: whoever dies here must find it again
   * @throws {KmsError} TIMEOUT
   */
  async start(
    state: CloudState,
    logDirectory: string,
    onStarted: (state: CloudState) => Promise<void> = async () => {},
  ): Promise<CloudState> {
    await mkdir(join(this.#directory, 'credentials'), { recursive: true, mode: 0o700 });
    const keys = await Promise.all(this.#parties.map((party) => this.#keysOf(party)));
    let running = state;
    const started = (name: 'kms' | 's3') => (process: ProcessId) => {
      running = { ...running, [name]: { ...running[name], process } };
      return onStarted(running);
    };
    const kms = await this.#run('kms', KMS_ENTRY, state.kms, logDirectory, started('kms'), {
      ...{ dataDirectory: this.keysDirectory, port: state.kms.port, region: REGION },
      ...{ class: this.#class, tls: true },
      principals: keys.flatMap(({ role, operator }, i) => [
        { ...role, arn: roleOf(i + 1) },
        { ...operator, arn: operatorOf(i + 1), iamActions: ['kms:*'] },
      ]),
    });
    const { cert, key } = await issueEndpointCertificate(this.#class, [s3Host(REGION), 'localhost']);
    const [certificateFile, keyFile] = ['s3.crt', 's3.key'].map((name) => join(this.#directory, name));
    await writeFile(certificateFile!, cert, { mode: 0o600 });
    await writeFile(keyFile!, key, { mode: 0o600 });
    const s3 = await this.#run('s3', S3_ENTRY, state.s3, logDirectory, started('s3'), {
      ...{ listen: `127.0.0.1:${state.s3.port}`, directory: this.bucketsDirectory, region: REGION },
      ...{ tls: { certificateFile, keyFile } },
      credentials: keys.flatMap(({ role, operator }, i) =>
        [role, operator].map((one) => ({ ...one, account: accountOf(i + 1) })),
      ),
    });
    return { kms, s3 };
  }

  async stop({ kms, s3 }: CloudState): Promise<void> {
    await Promise.all([kms.process, s3.process].map((id) => id && stopProcess(id)));
  }

  /** Forgets keys and buckets: whatever was sealed is gone. */
  async erase(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** As an operator does for each node: a key whose policy names the image and the network, and a bucket. */
  async provision(
    state: CloudState,
    networkId: Digest,
    measurementOf: (party: number) => Measurement,
  ): Promise<readonly Storage[]> {
    return Promise.all(
      this.#parties.map(async (party) => {
        const { operator } = await this.#keysOf(party);
        const policy = await policyFor({
          ...{ account: accountOf(party), role: roleOf(party), operators: [operatorOf(party)] },
          ...{ pcr0: toHex(measurementOf(party).pcr0), pcr3: 'none', networkId },
        });
        const client = {
          ...clientSettings(this.#class, operator),
          endpoint: `https://localhost:${state.kms.port}`,
        };
        const { KeyMetadata } = await new KMSClient(client).send(
          new CreateKeyCommand({ Policy: JSON.stringify(policy), BypassPolicyLockoutSafetyCheck: true }),
        );
        const kmsKey = KeyMetadata?.Arn;
        if (kmsKey === undefined) throw new KmsError('INTERNAL', 'the stand-in for KMS made no key');
        const bucket = `kms-node-${party}-${networkId.slice(0, 16)}`;
        const s3 = new S3Client({
          ...clientSettings(this.#class, operator),
          ...{ endpoint: `https://localhost:${state.s3.port}`, forcePathStyle: true },
        });
        await s3.send(new CreateBucketCommand({ Bucket: bucket }));
        const versioning = { Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } } as const;
        await s3.send(new PutBucketVersioningCommand(versioning));
        return { kmsKey, role: roleOf(party), bucket };
      }),
    );
  }

  get #parties(): readonly number[] {
    return Array.from({ length: this.#n }, (_, i) => i + 1);
  }

  async #keysOf(party: number): Promise<AccountKeys> {
    const role = await keysIn(this.credentialsFile(party));
    const operator = await keysIn(join(this.#directory, 'credentials', `operator-${party}.json`));
    return { role, operator };
  }

  async #run(
    name: 'kms' | 's3',
    entry: string,
    { port, process: known }: CloudState['kms'],
    logDirectory: string,
    onStarted: (process: ProcessId) => Promise<void>,
    config: object,
  ): Promise<CloudState['kms']> {
    if (known !== undefined && (await isAlive(known))) return { port, process: known };
    const file = join(this.#directory, `${name}.json`);
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    const logFile = join(logDirectory, `${name}.log`);
    const id = await startProcess(entry, ['--config', file], logFile, { remember: onStarted });
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    while (!(await accepts(port))) {
      if (!(await isAlive(id)) || performance.now() > deadlineMs) {
        throw new KmsError('TIMEOUT', `the stand-in for ${name} did not come up; see ${logFile}`);
      }
      await sleep(POLL_MS);
    }
    return { port, process: id };
  }
}

async function keysIn(file: string): Promise<AccountKeys['role']> {
  const found = await readFile(file, 'utf8').catch(() => undefined);
  if (found !== undefined) {
    const { accessKeyId, secretAccessKey }: AccountKeys['role'] = JSON.parse(found);
    return { accessKeyId, secretAccessKey };
  }
  const keys = {
    accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64'),
  };
  await writeFile(file, JSON.stringify(keys), { mode: 0o600 });
  return keys;
}

function clientSettings(of: StandInClass, credentials: AccountKeys['role']) {
  const ca = (of === 'mock' ? mockRoots : labRoots).map(
    (der) =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`,
  );
  const requestHandler = new NodeHttpHandler({ httpsAgent: new Agent({ ca }) });
  return { region: REGION, credentials, requestHandler };
}
