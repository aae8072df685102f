import {
  CreateGrantCommand,
  DisableKeyCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AttestedKms, openAttestedKms } from '../../../../enclave/aws/attested-kms.ts';
import { keyPolicy } from '../../../../shared/sealing/kms-policy.ts';
import { ACCOUNT, CONTEXT, KmsLab, OPERATOR, OWNER, principal, ROLE } from '../../../simulator/kms.ts';

let lab: KmsLab;
const opened: AttestedKms[] = [];

beforeAll(async () => {
  lab = await KmsLab.start();
});
afterEach(() => {
  lab.faults = () => undefined;
  for (const kms of opened.splice(0)) kms.close();
});
afterAll(() => lab[Symbol.asyncDispose]());

async function inspected(key: Awaited<ReturnType<KmsLab['createKey']>>): Promise<void> {
  const kms = await openAttestedKms(lab.options(key));
  opened.push(kms);
  await kms.inspectPolicy(await lab.expectation());
}

const refusal = { code: 'KMS_POLICY' };

describe('inspection of a key', () => {
  it('inspection: the key of infra/kms-policy is accepted, with operators and without', async () => {
    await inspected(await lab.createKey());
    const policy = keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] });
    await inspected(await lab.createKey(JSON.stringify(policy, undefined, 2)));
  });

  it('inspection: a clock that is an hour from that of AWS is put right', async () => {
    const key = await lab.createKey();
    for (const offMs of [3_600_000, -3_600_000]) {
      lab.nowMs = () => Date.now() + offMs;
      await inspected(key);
    }
    lab.nowMs = Date.now;
  });

  it("inspection: AWS's default policy, which leaves the key to the account, is refused", async () => {
    const root = { Effect: 'Allow', Principal: { AWS: OWNER.arn }, Action: 'kms:*', Resource: '*' };
    const permissive = JSON.stringify({ Version: '2012-10-17', Statement: [{ Sid: 'Root', ...root }] });
    const key = await lab.createKey(permissive);
    lab.principals.add({ ...lab.node, iamActions: ['kms:*'] });
    await expect(inspected(key)).rejects.toMatchObject(refusal);
    lab.principals.add(lab.node);
  });

  it('inspection: a policy that is changed under a running node is refused the next time', async () => {
    const good = keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] });
    const open = {
      Sid: 'Open',
      Effect: 'Allow',
      Principal: { AWS: OWNER.arn },
      Action: 'kms:*',
      Resource: '*',
    };
    const before = {
      ...good,
      Statement: [...good.Statement.filter(({ Effect }) => Effect === 'Allow'), open],
    };
    const key = await lab.createKey(JSON.stringify(before));
    await expect(inspected(key)).rejects.toMatchObject(refusal);
    const owner = lab.client(OWNER);
    const put = (policy: object): Promise<unknown> =>
      owner.send(
        new PutKeyPolicyCommand({
          KeyId: key.arn,
          Policy: JSON.stringify(policy),
          BypassPolicyLockoutSafetyCheck: true,
        }),
      );
    await put(good);
    await inspected(key);
    await expect(put(before)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    owner.destroy();
  });

  it('inspection: a grant that is older than the policy is refused', async () => {
    const owner = lab.client(OWNER);
    const root = {
      Sid: 'Root',
      Effect: 'Allow',
      Principal: { AWS: OWNER.arn },
      Action: 'kms:*',
      Resource: '*',
    };
    const key = await lab.createKey(JSON.stringify({ Version: '2012-10-17', Statement: [root] }));
    const thief = `arn:aws:iam::${ACCOUNT}:user/thief`;
    await owner.send(
      new CreateGrantCommand({ KeyId: key.arn, GranteePrincipal: thief, Operations: ['Decrypt'] }),
    );
    const good = keyPolicy(ACCOUNT, { ...(await lab.expectation()), operators: [] });
    await owner.send(
      new PutKeyPolicyCommand({
        KeyId: key.arn,
        Policy: JSON.stringify(good),
        BypassPolicyLockoutSafetyCheck: true,
      }),
    );
    owner.destroy();
    await expect(inspected(key)).rejects.toMatchObject(refusal);
  });

  it.each<[string, object]>([
    ['another ARN', { Arn: `arn:aws:kms:eu-central-1:${ACCOUNT}:key/00000000-0000-4000-8000-000000000000` }],
    ['another id', { KeyId: '00000000-0000-4000-8000-000000000000' }],
    ['another account', { AWSAccountId: '999999999999' }],
    ['a key of AWS', { KeyManager: 'AWS' }],
    ['a disabled key', { Enabled: false, KeyState: 'Disabled' }],
    ['a key that says Enabled and is not', { Enabled: false }],
    ['a key that is being deleted', { KeyState: 'PendingDeletion' }],
    ['a date of deletion', { DeletionDate: 4_000_000_000 }],
    ['an asymmetric key', { KeySpec: 'RSA_2048' }],
    ['a key for signing', { KeyUsage: 'SIGN_VERIFY' }],
    ['imported material', { Origin: 'EXTERNAL' }],
    ['material that expires', { ExpirationModel: 'KEY_MATERIAL_EXPIRES' }],
    ['material in an HSM of somebody', { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: 'cks-1234567890' }],
    ['a custom key store', { CustomKeyStoreId: 'cks-1234567890' }],
    ['an external key', { XksKeyConfiguration: { Id: 'x' } }],
    ['a multi-region key', { MultiRegion: true }],
    ['no word on regions', { MultiRegion: undefined }],
  ])('inspection: %s is refused', async (_, change) => {
    const key = await lab.createKey();
    lab.faults = (name) =>
      name !== 'DescribeKey'
        ? undefined
        : {
            kind: 'answer',
            change: ({ KeyMetadata }) => ({ KeyMetadata: { ...Object(KeyMetadata), ...change } }),
          };
    await expect(inspected(key)).rejects.toMatchObject(refusal);
  });

  it.each<[string, string, object]>([
    ['no metadata', 'DescribeKey', {}],
    ['no policy', 'GetKeyPolicy', {}],
    ['no list of grants', 'ListGrants', {}],
    ['a list of grants that goes on', 'ListGrants', { Grants: [], Truncated: true }],
    ['a list of grants with a marker', 'ListGrants', { Grants: [], NextMarker: 'more' }],
  ])('inspection: an answer with %s is refused', async (_, operation, answer) => {
    const key = await lab.createKey();
    lab.faults = (name) =>
      name === operation ? { kind: 'answer', change: () => ({ ...answer }) } : undefined;
    await expect(inspected(key)).rejects.toMatchObject(refusal);
  });
});

describe('what the policy of a key is worth', () => {
  it('key policy: operators stop a node, and open nothing', async () => {
    const operator = principal(OPERATOR);
    lab.principals.add(operator);
    const key = await lab.createKey();
    const client = lab.client(operator);
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [] });
    await expect(
      client.send(new PutKeyPolicyCommand({ KeyId: key.arn, Policy: policy })),
    ).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
    await client.send(new DisableKeyCommand({ KeyId: key.arn }));
    await expect(inspected(key)).rejects.toMatchObject(refusal);
    await client.send(new ScheduleKeyDeletionCommand({ KeyId: key.arn, PendingWindowInDays: 7 }));
    await expect(inspected(key)).rejects.toMatchObject(refusal);
    const kms = await openAttestedKms(lab.options(key));
    opened.push(kms);
    await expect(kms.generateDataKey(CONTEXT)).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    client.destroy();
  });

  it('key policy: the role without an enclave is refused', async () => {
    const key = await lab.createKey();
    expect(lab.node.arn).toBe(ROLE);
    const node = lab.client(lab.node);
    const { GenerateDataKeyCommand } = await import('@aws-sdk/client-kms');
    const request = new GenerateDataKeyCommand({ KeyId: key.arn, KeySpec: 'AES_256' });
    await expect(node.send(request)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    node.destroy();
  });
});
