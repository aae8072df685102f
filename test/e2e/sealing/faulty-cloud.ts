import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { issueEndpointCertificate } from '../../../infra/local/aws/endpoint-certificate.ts';
import { readKmsConfig } from '../../../infra/local/kms/config.ts';
import type { Fault } from '../../../infra/local/kms/faults.ts';
import { KeyStore } from '../../../infra/local/kms/key-store.ts';
import { Principals } from '../../../infra/local/kms/principals.ts';
import { type KmsServer, startKmsServer } from '../../../infra/local/kms/server.ts';
import { readS3Config } from '../../../infra/local/s3/config.ts';
import type { S3Faults } from '../../../infra/local/s3/faults.ts';
import { S3Server } from '../../../infra/local/s3/server.ts';
import { ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { kmsHost } from '../../../shared/sealing/key-arn.ts';
import type { SealedNetwork } from './sealed-network.ts';

/** Temporary credentials of a node's role; when they end is the test's to say. */
export class SessionCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  #expiresMs = Date.now() + 3_600_000;

  constructor(name: string) {
    this.accessKeyId = `ASIA${name.padEnd(16, '0')}`;
    this.secretAccessKey = `${name}-secret`.padEnd(40, '0');
    this.sessionToken = `${name}-session-token`;
  }

  /** What the services go by. */
  get expiresMs(): number {
    return this.#expiresMs;
  }

  end(): void {
    this.#expiresMs = Date.now() - 1;
  }

  /** For the parent. It does not know when they end. */
  get file(): string {
    const { accessKeyId, secretAccessKey, sessionToken } = this;
    return JSON.stringify({ accessKeyId, secretAccessKey, sessionToken });
  }
}

/** The stand-ins of a network in this process, on their ports and directories, with faults. */
export class FaultyCloud {
  /** Asked for every request. */
  kmsFault: (operation: string) => Fault | undefined = () => undefined;
  readonly keys: KeyStore;
  readonly #s3: S3Server;
  readonly #kms: KmsServer;

  private constructor(keys: KeyStore, s3: S3Server, kms: KmsServer, faulty: { cloud?: FaultyCloud }) {
    this.keys = keys;
    this.#s3 = s3;
    this.#kms = kms;
    faulty.cloud = this;
  }

  /** @param sessions more credentials of that party's role */
  static async take(
    { local }: SealedNetwork,
    party: number,
    sessions: readonly SessionCredentials[],
  ): Promise<FaultyCloud> {
    await local.stopCloud();
    const directory = join(local.directory, 'cloud');
    const kms = await readKmsConfig(join(directory, 'kms.json'));
    const { listen, tls, ...s3 } = await readS3Config(join(directory, 's3.json'));
    const { accessKeyId } = JSON.parse(await readFile(local.cloud.credentialsFile(party), 'utf8'));
    const role = kms.principals.find((one) => one.accessKeyId === accessKeyId)!;
    const account = s3.credentials.find((one) => one.accessKeyId === accessKeyId)!;
    // Read anew at each request: these end when a test says so.
    const live = <T extends object>(one: SessionCredentials, more: T) =>
      Object.defineProperty(
        {
          ...more,
          accessKeyId: one.accessKeyId,
          secretAccessKey: one.secretAccessKey,
          sessionToken: one.sessionToken,
        },
        'expiresMs',
        { get: () => one.expiresMs, enumerable: true },
      );
    const keys = await KeyStore.open(kms.dataDirectory);
    const faulty: { cloud?: FaultyCloud } = {};
    const kmsServer = await startKmsServer({
      ...{ store: keys, region: kms.region, port: kms.port, roots: ROOTS },
      principals: new Principals([...kms.principals, ...sessions.map((one) => live(one, { arn: role.arn }))]),
      tls: await issueEndpointCertificate('mock', [kmsHost(kms.region), 'localhost']),
      faults: (operation) => faulty.cloud?.kmsFault(operation),
    });
    const credentials = [
      ...s3.credentials,
      ...sessions.map((one) => live(one, { account: account.account })),
    ];
    const server = await S3Server.open({ ...s3, credentials, ...(tls === undefined ? {} : { tls }) });
    await server.listen(listen.port, listen.host);
    return new FaultyCloud(keys, server, kmsServer, faulty);
  }

  set s3Faults(faults: S3Faults) {
    this.#s3.faults = faults;
  }

  async close(): Promise<void> {
    await Promise.all([this.#s3.close(), this.#kms.close()]);
  }
}
