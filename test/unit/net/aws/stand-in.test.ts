import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  ListGrantsCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openAttestedKms } from '../../../../enclave/aws/attested-kms.ts';
import type { Principal } from '../../../../infra/local/kms/principals.ts';
import { kmsHost, parseKeyArn } from '../../../../shared/sealing/key-arn.ts';
import { keyPolicy } from '../../../../shared/sealing/kms-policy.ts';
import {
  ACCOUNT,
  CONTEXT,
  credentialsOf,
  KmsLab,
  OPERATOR,
  OWNER,
  principal,
  REGION,
  ROLE,
} from '../../../simulator/kms.ts';

let lab: KmsLab;
const clients: KMSClient[] = [];
const EVE = principal(`arn:aws:iam::${ACCOUNT}:user/eve`, { iamActions: ['kms:*'] });
const FOREIGNER = principal('arn:aws:iam::999999999999:user/eve', { iamActions: ['kms:*'] });

beforeAll(async () => {
  lab = await KmsLab.start();
  for (const one of [EVE, FOREIGNER, principal(OPERATOR)]) lab.principals.add(one);
});
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  lab.nowMs = Date.now;
});
afterAll(() => lab[Symbol.asyncDispose]());

function as(who: Principal): KMSClient {
  const client = lab.client(who);
  clients.push(client);
  return client;
}

const named = (name: string): object => expect.objectContaining({ name });
const denied = named('AccessDeniedException');
const statement = (AWS: string, Action: unknown, more: object = {}): object => ({
  ...{ Effect: 'Allow', Principal: { AWS }, Action, Resource: '*', ...more },
});
const policy = (...statements: object[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: statements });
const generate = (KeyId: string, more: object = {}): GenerateDataKeyCommand =>
  new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', ...more });

describe('stand-in for KMS: under the policy for sealing', () => {
  it('stand-in: without an enclave nobody does anything with the key, its owner included', async () => {
    const { arn } = await lab.createKey();
    for (const who of [OWNER, lab.node, EVE, FOREIGNER]) {
      const client = as(who);
      for (const command of [
        generate(arn),
        new EncryptCommand({ KeyId: arn, Plaintext: new Uint8Array(3) }),
        new CreateGrantCommand({ KeyId: arn, GranteePrincipal: EVE.arn, Operations: ['Decrypt'] }),
        new PutKeyPolicyCommand({
          KeyId: arn,
          Policy: policy(statement(OWNER.arn, 'kms:*')),
          BypassPolicyLockoutSafetyCheck: true,
        }),
        new ScheduleKeyDeletionCommand({ KeyId: arn }),
      ]) {
        // @ts-expect-error The SDK types each command alone.
        await expect(client.send(command)).rejects.toEqual(denied);
      }
    }
    const kms = await openAttestedKms(lab.options(parseKeyArn(arn)));
    const { blob } = await kms.generateDataKey(CONTEXT);
    kms.close();
    for (const who of [OWNER, lab.node, EVE, FOREIGNER]) {
      const decrypt = new DecryptCommand({ CiphertextBlob: blob, EncryptionContext: CONTEXT });
      await expect(as(who).send(decrypt)).rejects.toEqual(denied);
      const target = await lab.createKey(policy(statement('*', 'kms:*')));
      const reEncrypt = new ReEncryptCommand({
        ...{ CiphertextBlob: blob, SourceEncryptionContext: CONTEXT, DestinationKeyId: target.arn },
      });
      await expect(as(who).send(reEncrypt)).rejects.toEqual(denied);
    }
  });

  it("stand-in: an enclave's document does not help another principal", async () => {
    const key = await lab.createKey();
    const kms = await openAttestedKms(lab.options(key, { credentials: async () => credentialsOf(EVE) }));
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    kms.close();
  });

  it('stand-in: a grant does not get round a Deny', async () => {
    const { arn } = await lab.createKey(policy(statement(OWNER.arn, 'kms:*')));
    const grant = { KeyId: arn, GranteePrincipal: EVE.arn, Operations: ['GenerateDataKey' as const] };
    await as(OWNER).send(new CreateGrantCommand(grant));
    expect((await as(EVE).send(generate(arn))).Plaintext).toHaveLength(32);
    const Policy = JSON.stringify(keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] }));
    await as(OWNER).send(
      new PutKeyPolicyCommand({ KeyId: arn, Policy, BypassPolicyLockoutSafetyCheck: true }),
    );
    await expect(as(EVE).send(generate(arn))).rejects.toEqual(denied);
  });
});

describe('stand-in for KMS: who may what', () => {
  it('stand-in: IAM counts where the policy names the root of the account, and only there', async () => {
    const open = await lab.createKey(policy(statement(OWNER.arn, 'kms:*')));
    expect((await as(EVE).send(generate(open.arn))).Plaintext).toHaveLength(32);
    await expect(as(lab.node).send(generate(open.arn))).rejects.toEqual(denied);
    await expect(as(FOREIGNER).send(generate(open.arn))).rejects.toEqual(denied);
    const closed = await lab.createKey(policy(statement(ROLE, 'kms:*')));
    await expect(as(EVE).send(generate(closed.arn))).rejects.toEqual(denied);
    await expect(as(OWNER).send(generate(closed.arn))).rejects.toEqual(denied);
    expect((await as(lab.node).send(generate(closed.arn))).Plaintext).toHaveLength(32);
    await expect(as(lab.node).send(new CreateKeyCommand({}))).rejects.toEqual(denied);
  });

  it('stand-in: a condition on the context and on TLS', async () => {
    const condition = {
      StringEquals: { 'kms:EncryptionContext:network': 'a' },
      Bool: { 'aws:SecureTransport': 'true' },
    };
    const { arn } = await lab.createKey(
      policy(statement(EVE.arn, 'kms:GenerateDataKey', { Condition: condition })),
    );
    await as(EVE).send(generate(arn, { EncryptionContext: { network: 'a' } }));
    for (const EncryptionContext of [{ network: 'b' }, { other: 'a' }, undefined]) {
      await expect(as(EVE).send(generate(arn, { EncryptionContext }))).rejects.toEqual(denied);
    }
  });

  it('stand-in: grants give what they name, under their context, until they are revoked', async () => {
    const { arn } = await lab.createKey(policy(statement(OWNER.arn, 'kms:*')));
    const { GrantId } = await as(OWNER).send(
      new CreateGrantCommand({
        ...{ KeyId: arn, GranteePrincipal: FOREIGNER.arn, Operations: ['GenerateDataKey'], Name: 'g' },
        Constraints: { EncryptionContextSubset: { network: 'a' } },
      }),
    );
    const good = { EncryptionContext: { network: 'a', more: 'b' } };
    await as(FOREIGNER).send(generate(arn, good));
    await expect(as(FOREIGNER).send(generate(arn))).rejects.toEqual(denied);
    await expect(as(FOREIGNER).send(new DescribeKeyCommand({ KeyId: arn }))).rejects.toEqual(denied);
    const { Grants } = await as(OWNER).send(new ListGrantsCommand({ KeyId: arn }));
    expect(Grants).toMatchObject([
      { GrantId, GranteePrincipal: FOREIGNER.arn, Operations: ['GenerateDataKey'] },
    ]);
    await as(OWNER).send(new RevokeGrantCommand({ KeyId: arn, GrantId }));
    await expect(as(FOREIGNER).send(generate(arn, good))).rejects.toEqual(denied);
  });

  it('stand-in: credentials that ended, or with another session token, are refused', async () => {
    const ending = principal(ROLE, { sessionToken: 'YQ==', expiresMs: Date.now() + 60_000 });
    lab.principals.add(ending);
    const { arn } = await lab.createKey();
    await as(ending).send(new DescribeKeyCommand({ KeyId: arn }));
    lab.nowMs = () => Date.now() + 61_000;
    const look = new DescribeKeyCommand({ KeyId: arn });
    await expect(as(ending).send(look)).rejects.toEqual(named('ExpiredTokenException'));
    lab.nowMs = Date.now;
    for (const sessionToken of ['Yg==', '']) {
      const { sessionToken: _, ...bare } = ending;
      const who = sessionToken === '' ? bare : { ...bare, sessionToken };
      await expect(as(who).send(look)).rejects.toEqual(named('UnrecognizedClientException'));
    }
    await expect(as({ ...ending, secretAccessKey: 'x' }).send(look)).rejects.toEqual(
      named('InvalidSignatureException'),
    );
    await expect(as(principal(ROLE)).send(look)).rejects.toEqual(named('UnrecognizedClientException'));
  });
});

describe('stand-in for KMS: documents', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
    type: 'spki',
    format: 'der',
  });

  it.each<[string, Uint8Array | undefined]>([
    ['no public key', undefined],
    ['a key on a curve', ec],
    ['a short RSA key', small],
    ['bytes that are no key', new Uint8Array(50)],
  ])('stand-in: a document with %s is ValidationException', async (_, publicKey) => {
    const { arn } = await lab.createKey();
    const AttestationDocument = await lab.nsm.attest(
      publicKey === undefined ? {} : { publicKey: new Uint8Array(publicKey) },
    );
    const Recipient = { AttestationDocument, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } as const;
    await expect(as(lab.node).send(generate(arn, { Recipient }))).rejects.toEqual(
      named('ValidationException'),
    );
  });

  it('stand-in: a document of the future, and another algorithm, are ValidationException', async () => {
    const { arn } = await lab.createKey();
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    const AttestationDocument = await lab.nsm.attest({ publicKey: spki });
    const good = { AttestationDocument, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' } as const;
    const answer = await as(lab.node).send(generate(arn, { Recipient: good }));
    expect(answer.Plaintext).toBeUndefined();
    expect(answer.CiphertextForRecipient?.length).toBeGreaterThan(400);
    const other = { ...good, KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' };
    await expect(as(lab.node).send(generate(arn, { Recipient: other }))).rejects.toEqual(
      named('ValidationException'),
    );
    lab.nowMs = () => Date.now() - 120_000;
    await expect(as(lab.node).send(generate(arn, { Recipient: good }))).rejects.toEqual(
      named('ValidationException'),
    );
  });
});

describe('stand-in for KMS: as a process', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kms-process-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** @returns the URL of its ready line, and how to end it */
  async function started(): Promise<{ readonly url: URL; kill(): Promise<void> }> {
    const config = join(directory, 'kms.json');
    const { sessionToken: _, ...owner } = OWNER;
    const fields = {
      dataDirectory: join(directory, 'data'),
      port: 0,
      region: REGION,
      class: 'mock',
      tls: true,
    };
    writeFileSync(config, JSON.stringify({ ...fields, principals: [owner, lab.node] }));
    const entry = join(import.meta.dirname, '../../../../infra/local/kms/main.ts');
    const child = spawn(process.execPath, [entry, '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line = ''] = await new Promise<string[]>((resolve) => {
      createInterface(child.stdout).once('line', (first) => resolve([first]));
      child.once('exit', () => resolve([]));
    });
    const kill = (): Promise<void> =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
      });
    return { url: new URL(/^kms ready (https:\S+)$/.exec(line)?.[1] ?? 'none:'), kill };
  }

  it('stand-in: keys survive a kill, and enclaves decrypt after it', async () => {
    let at = await started();
    const dial = async () => connect(Number(at.url.port), '127.0.0.1').on('error', () => {});
    const { endpointHandler } = await import('../../../../enclave/aws/endpoint.ts');
    const { roots } = lab.options(
      parseKeyArn(`arn:aws:kms:${REGION}:${ACCOUNT}:key/00000000-0000-4000-8000-000000000000`),
    );
    const { accessKeyId, secretAccessKey } = OWNER;
    const owner = new KMSClient({
      ...{
        region: REGION,
        maxAttempts: 1,
        endpoint: `https://${kmsHost(REGION)}`,
        credentials: { accessKeyId, secretAccessKey },
      },
      requestHandler: endpointHandler({
        connect: dial,
        hosts: [kmsHost(REGION)],
        roots,
        maxAnswerBytes: 1 << 20,
      }),
    });
    const Policy = JSON.stringify(keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] }));
    const made = await owner.send(new CreateKeyCommand({ Policy, BypassPolicyLockoutSafetyCheck: true }));
    owner.destroy();
    const kms = await openAttestedKms(
      lab.options(parseKeyArn(made.KeyMetadata?.Arn ?? ''), { connect: dial }),
    );
    const { plaintext, blob } = await kms.generateDataKey(CONTEXT);
    await at.kill();
    at = await started();
    expect(await kms.decrypt(blob, CONTEXT)).toEqual(plaintext);
    kms.close();
    await at.kill();
  });
});
