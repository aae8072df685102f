import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { AttestedKmsOptions } from '../../enclave/aws/attested-kms.ts';
import type { AwsCredentials } from '../../enclave/aws/credentials.ts';
import { endpointHandler } from '../../enclave/aws/endpoint.ts';
import type { Nsm } from '../../enclave/nsm/nsm.ts';
import { issueEndpointCertificate } from '../../infra/local/aws/endpoint-certificate.ts';
import type { Faults } from '../../infra/local/kms/faults.ts';
import { KeyStore } from '../../infra/local/kms/key-store.ts';
import { type Principal, Principals } from '../../infra/local/kms/principals.ts';
import { type KmsServer, startKmsServer } from '../../infra/local/kms/server.ts';
import { ENDPOINT_ROOTS, ROOTS } from '../../shared/attestation/roots/mock.ts';
import { digest } from '../../shared/ids.ts';
import { type KeyArn, kmsHost, parseKeyArn } from '../../shared/sealing/key-arn.ts';
import { keyPolicy, type PolicyRegisters, policyRegistersOf } from '../../shared/sealing/kms-policy.ts';
import type { PolicyExpectation } from '../../shared/sealing/policy-inspection.ts';
import { boundNsm } from './attested.ts';

export const ACCOUNT = '111122223333';
export const REGION = 'eu-central-1';
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/kms-node`;
export const OPERATOR = `arn:aws:iam::${ACCOUNT}:role/kms-operator`;
export const NETWORK = digest(`6d6f636b${'11'.repeat(28)}`);
export const CONTEXT = { network: NETWORK, party: '1', purpose: 'test' };

/** The cloud account's owner, its root: may do whatever a key policy does not deny. */
export const OWNER = principal(`arn:aws:iam::${ACCOUNT}:root`);

export function principal(arn: string, change: Partial<Principal> = {}): Principal {
  const accessKeyId = `AKIA${randomBytes(8).toString('hex').toUpperCase()}`;
  return { accessKeyId, secretAccessKey: randomBytes(20).toString('hex'), arn, ...change };
}

export function credentialsOf({
  accessKeyId,
  secretAccessKey,
  sessionToken,
  expiresMs,
}: Principal): AwsCredentials {
  return {
    ...{ accessKeyId, secretAccessKey },
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
  };
}

/** The registers that a key's policy states for this enclave. */
export async function registersOf(nsm: Nsm): Promise<PolicyRegisters> {
  const pcrs = await Promise.all(
    [0, 3, 8, 16].map(async (i) => [i, (await nsm.describePcr(i)).value] as const),
  );
  return policyRegistersOf(new Map(pcrs));
}

/** A running stand-in, one enclave with its key, and clients of everybody. */
export class KmsLab {
  readonly server: KmsServer;
  readonly store: KeyStore;
  readonly principals: Principals;
  readonly nsm: Nsm;
  readonly node: Principal;
  readonly #directory: string;
  /** Set by tests. */
  faults: Faults = () => undefined;
  nowMs: () => number = Date.now;

  private constructor(
    parts: Pick<KmsLab, 'server' | 'store' | 'principals' | 'nsm' | 'node'>,
    directory: string,
  ) {
    this.server = parts.server;
    this.store = parts.store;
    this.principals = parts.principals;
    this.nsm = parts.nsm;
    this.node = parts.node;
    this.#directory = directory;
  }

  static async start(): Promise<KmsLab> {
    const directory = await mkdtemp(join(tmpdir(), 'kms-stand-in-'));
    const store = await KeyStore.open(directory);
    const node = principal(ROLE, { sessionToken: 'c2Vzc2lvbg==' });
    const principals = new Principals([OWNER, node]);
    const nsm = await boundNsm(NETWORK);
    const server = await startKmsServer({
      ...{ store, principals, region: REGION, roots: ROOTS },
      tls: await issueEndpointCertificate('mock', [kmsHost(REGION)]),
      nowMs: () => lab.nowMs(),
      faults: (operation) => lab.faults(operation),
    });
    const lab: KmsLab = new KmsLab({ server, store, principals, nsm, node }, directory);
    return lab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  readonly connect = async (): Promise<Socket> =>
    connect(this.server.port, '127.0.0.1').on('error', () => {});

  /** The unmodified SDK, as somebody outside enclaves. */
  client(who: Principal): KMSClient {
    const { accessKeyId, secretAccessKey, sessionToken } = who;
    return new KMSClient({
      ...{ region: REGION, maxAttempts: 1, endpoint: `https://${kmsHost(REGION)}` },
      credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
      requestHandler: endpointHandler({
        ...{
          connect: this.connect,
          hosts: [kmsHost(REGION)],
          roots: ENDPOINT_ROOTS,
          maxAnswerBytes: 1 << 20,
        },
      }),
    });
  }

  async expectation(): Promise<PolicyExpectation> {
    return { role: ROLE, registers: await registersOf(this.nsm) };
  }

  /** A key with the policy of this enclave, or with another one. */
  async createKey(policy?: string): Promise<KeyArn> {
    const client = this.client(OWNER);
    const canonical = keyPolicy(ACCOUNT, { ...(await this.expectation()), operators: [OPERATOR] });
    const { KeyMetadata } = await client.send(
      new CreateKeyCommand({
        Policy: policy ?? JSON.stringify(canonical),
        BypassPolicyLockoutSafetyCheck: true,
      }),
    );
    client.destroy();
    return parseKeyArn(KeyMetadata?.Arn ?? '');
  }

  options(key: KeyArn, change: Partial<AttestedKmsOptions> = {}): AttestedKmsOptions {
    return {
      ...{ key, nsm: this.nsm, connect: this.connect, roots: ENDPOINT_ROOTS },
      credentials: async () => credentialsOf(this.node),
      ...change,
    };
  }
}
