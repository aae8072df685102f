import {
  CancelKeyDeletionCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  GetKeyPolicyCommand,
  type KMSClient,
  ListGrantsCommand,
  ListKeysCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { expect } from 'vitest';

/** What a case works with: the unmodified SDK, and keys that are deleted afterwards. */
export interface KmsBench {
  readonly client: KMSClient;
  /** ARN of a fresh key under the default policy. */
  readonly newKey: () => Promise<string>;
  /** The same endpoint by somebody whose secret is wrong. */
  readonly impostor: KMSClient;
}

/** Where a case holds. Ours and AWS must agree in all; moto in what it has. */
export interface KmsCase {
  readonly name: string;
  /** What moto_server (5.2) does otherwise; the case is skipped there, in words. */
  readonly motoDiffers?: string;
  readonly run: (bench: KmsBench) => Promise<void>;
}

const EncryptionContext = { network: 'n', party: '1' };
const named = (name: string): object => expect.objectContaining({ name });

export const kmsCases: readonly KmsCase[] = [
  {
    name: 'a new key is of the one kind that is used here',
    motoDiffers: 'it describes keys without their usage and regions',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({
        ...{
          Arn: KeyId,
          Enabled: true,
          KeyState: 'Enabled',
          KeySpec: 'SYMMETRIC_DEFAULT',
          MultiRegion: false,
        },
        ...{ KeyUsage: 'ENCRYPT_DECRYPT', Origin: 'AWS_KMS', KeyManager: 'CUSTOMER' },
      });
      expect(KeyMetadata?.CreationDate).toBeInstanceOf(Date);
      expect(KeyMetadata?.DeletionDate).toBeUndefined();
    },
  },
  {
    name: 'a new key is enabled and listed',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({
        Arn: KeyId,
        Enabled: true,
        KeyState: 'Enabled',
        KeyManager: 'CUSTOMER',
      });
      const { Keys = [] } = await client.send(new ListKeysCommand({ Limit: 1000 }));
      expect(Keys.map(({ KeyArn }) => KeyArn)).toContain(KeyId);
    },
  },
  {
    name: 'a data key comes back under its context, and names its key',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const made = await client.send(
        new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }),
      );
      expect(made.KeyId).toBe(KeyId);
      expect(made.Plaintext).toHaveLength(32);
      expect(made.CiphertextForRecipient).toBeUndefined();
      const { CiphertextBlob } = made;
      const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
      expect(opened.KeyId).toBe(KeyId);
      expect(opened.Plaintext).toEqual(made.Plaintext);
    },
  },
  {
    name: 'another context, and no context, are InvalidCiphertextException',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const request = { KeyId, NumberOfBytes: 16, EncryptionContext };
      const { CiphertextBlob, Plaintext } = await client.send(new GenerateDataKeyCommand(request));
      expect(Plaintext).toHaveLength(16);
      for (const wrong of [{ ...EncryptionContext, party: '2' }, { network: 'n' }, undefined]) {
        const decrypt = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: wrong });
        await expect(client.send(decrypt)).rejects.toEqual(named('InvalidCiphertextException'));
      }
    },
  },
  {
    name: 'an altered ciphertext is InvalidCiphertextException',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { CiphertextBlob } = await client.send(
        new EncryptCommand({ KeyId, Plaintext: new Uint8Array(9) }),
      );
      const altered = Uint8Array.from(CiphertextBlob ?? []);
      altered[altered.length - 1]! ^= 1;
      const decrypt = new DecryptCommand({ KeyId, CiphertextBlob: altered });
      await expect(client.send(decrypt)).rejects.toEqual(named('InvalidCiphertextException'));
    },
  },
  {
    name: 'a ciphertext of one key is IncorrectKeyException under another',
    motoDiffers: 'it says AccessDeniedException',
    async run({ client, newKey }) {
      const [KeyId, other] = [await newKey(), await newKey()];
      const { CiphertextBlob } = await client.send(
        new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256' }),
      );
      const decrypt = new DecryptCommand({ KeyId: other, CiphertextBlob });
      await expect(client.send(decrypt)).rejects.toEqual(named('IncorrectKeyException'));
    },
  },
  {
    name: 'a data key has one length, stated once',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const requests = [
        { KeyId },
        { KeyId, KeySpec: 'AES_256', NumberOfBytes: 32 } as const,
        { KeyId, NumberOfBytes: 1025 },
      ];
      for (const request of requests) {
        await expect(client.send(new GenerateDataKeyCommand(request))).rejects.toEqual(
          named('ValidationException'),
        );
      }
    },
  },
  {
    name: 're-encryption changes the key and keeps the plaintext',
    async run({ client, newKey }) {
      const [from, to] = [await newKey(), await newKey()];
      const Plaintext = Uint8Array.from([1, 2, 3]);
      const sealed = await client.send(new EncryptCommand({ KeyId: from, Plaintext, EncryptionContext }));
      const again = await client.send(
        new ReEncryptCommand({
          ...{ CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId: to },
          ...{ SourceEncryptionContext: EncryptionContext, DestinationEncryptionContext: { other: 'x' } },
        }),
      );
      expect(again).toMatchObject({ SourceKeyId: from, KeyId: to });
      const { CiphertextBlob } = again;
      const opened = await client.send(
        new DecryptCommand({ CiphertextBlob, EncryptionContext: { other: 'x' } }),
      );
      expect(opened.KeyId).toBe(to);
      expect(opened.Plaintext).toEqual(Plaintext);
    },
  },
  {
    name: 'random bytes are of the length that was asked for',
    async run({ client }) {
      const { Plaintext } = await client.send(new GenerateRandomCommand({ NumberOfBytes: 64 }));
      expect(Plaintext).toHaveLength(64);
    },
  },
  {
    name: 'a policy is given back as it was put, and the last one counts',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { Policy = '' } = await client.send(new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' }));
      const policy = JSON.parse(Policy);
      expect(policy.Statement).toHaveLength(1);
      expect(policy.Statement[0]).toMatchObject({ Effect: 'Allow', Action: 'kms:*', Resource: '*' });
      const next = { ...policy, Id: 'second' };
      await client.send(
        new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy: JSON.stringify(next) }),
      );
      const after = await client.send(new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' }));
      expect(JSON.parse(after.Policy ?? '')).toEqual(next);
    },
  },
  {
    name: 'a policy that locks everybody out needs the word that it is meant',
    motoDiffers: 'it takes any policy',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { Policy = '' } = await client.send(new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' }));
      const policy = JSON.parse(Policy);
      const Statement = policy.Statement.map((one: object) => ({
        ...one,
        Action: ['kms:Describe*', 'kms:ScheduleKeyDeletion'],
      }));
      const locked = JSON.stringify({ ...policy, Statement });
      const put = new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy: locked });
      await expect(client.send(put)).rejects.toEqual(named('MalformedPolicyDocumentException'));
    },
  },
  {
    name: 'what is no policy is MalformedPolicyDocumentException',
    motoDiffers: 'it takes any text',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      for (const Policy of ['x', '{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}']) {
        const put = new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy });
        await expect(client.send(put)).rejects.toEqual(named('MalformedPolicyDocumentException'));
      }
    },
  },
  {
    name: 'grants are listed until they are revoked',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const list = async (): Promise<readonly (string | undefined)[]> =>
        (await client.send(new ListGrantsCommand({ KeyId }))).Grants?.map(({ GrantId }) => GrantId) ?? [];
      expect(await list()).toEqual([]);
      const GranteePrincipal = `arn:aws:iam::${KeyId.split(':')[4]}:root`;
      const { GrantId } = await client.send(
        new CreateGrantCommand({ KeyId, GranteePrincipal, Operations: ['Decrypt'] }),
      );
      expect(await list()).toEqual([GrantId]);
      await client.send(new RevokeGrantCommand({ KeyId, GrantId }));
      expect(await list()).toEqual([]);
    },
  },
  {
    name: 'a disabled key does nothing, and works when it is enabled again',
    motoDiffers: 'it fails to decrypt under a disabled key with a page of HTML',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { CiphertextBlob } = await client.send(
        new EncryptCommand({ KeyId, Plaintext: new Uint8Array(3) }),
      );
      await client.send(new DisableKeyCommand({ KeyId }));
      await expect(client.send(new DecryptCommand({ CiphertextBlob }))).rejects.toEqual(
        named('DisabledException'),
      );
      const generate = new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' });
      await expect(client.send(generate)).rejects.toEqual(named('DisabledException'));
      await client.send(new EnableKeyCommand({ KeyId }));
      expect((await client.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toHaveLength(3);
    },
  },
  {
    name: 'a key that is being deleted does nothing, and is disabled when that is taken back',
    motoDiffers: 'it answers with a page of HTML',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const { CiphertextBlob } = await client.send(
        new EncryptCommand({ KeyId, Plaintext: new Uint8Array(3) }),
      );
      const { DeletionDate } = await client.send(
        new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }),
      );
      expect(DeletionDate?.getTime()).toBeGreaterThan(Date.now() + 6 * 86_400_000);
      const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({ KeyState: 'PendingDeletion', Enabled: false });
      await expect(client.send(new DecryptCommand({ CiphertextBlob }))).rejects.toEqual(
        named('KMSInvalidStateException'),
      );
      await client.send(new CancelKeyDeletionCommand({ KeyId }));
      const after = await client.send(new DescribeKeyCommand({ KeyId }));
      expect(after.KeyMetadata).toMatchObject({ KeyState: 'Disabled', Enabled: false });
    },
  },
  {
    name: 'a key that is not there is NotFoundException',
    async run({ client, newKey }) {
      const KeyId = `${(await newKey()).slice(0, -36)}00000000-0000-4000-8000-000000000000`;
      await expect(client.send(new DescribeKeyCommand({ KeyId }))).rejects.toEqual(
        named('NotFoundException'),
      );
    },
  },
  {
    name: 'bytes that are no attestation document are ValidationException',
    motoDiffers: 'it knows no attestation',
    async run({ client, newKey }) {
      const KeyId = await newKey();
      const Recipient = {
        KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
        AttestationDocument: new Uint8Array(100),
      } as const;
      const generate = new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', Recipient });
      await expect(client.send(generate)).rejects.toEqual(named('ValidationException'));
    },
  },
  {
    name: 'a wrong secret is InvalidSignatureException',
    motoDiffers: 'it verifies no signature',
    async run({ impostor }) {
      await expect(impostor.send(new CreateKeyCommand({}))).rejects.toEqual(
        named('InvalidSignatureException'),
      );
    },
  },
];
