import { randomBytes, randomUUID } from 'node:crypto';
import type { Fields } from './fields.ts';
import { describeGrant, readGrant } from './grants.ts';
import type { Answer, Call, KeyRing, Operations } from './key-ring.ts';
import type { StoredKey } from './key-store.ts';
import { accountOf } from './principals.ts';
import { ServiceError } from './service-error.ts';

const DAY_MS = 86_400_000;

/** The one kind of key there is here. */
const ONLY: readonly (readonly [string, string])[] = [
  ['KeySpec', 'SYMMETRIC_DEFAULT'],
  ['CustomerMasterKeySpec', 'SYMMETRIC_DEFAULT'],
  ['KeyUsage', 'ENCRYPT_DECRYPT'],
  ['Origin', 'AWS_KMS'],
];

/** The operations that make keys, describe them and rule over them. */
export function keyOperations(ring: KeyRing): Operations {
  const { store, nowMs } = ring;

  const createKey = async (call: Call): Promise<Answer> => {
    const { fields, principal } = call;
    ring.requireIam(call, 'CreateKey');
    for (const [name, only] of ONLY) {
      if ((fields.optionalText(name) ?? only) !== only) throw unsupported(`${name} ${fields.text(name)}`);
    }
    if (fields.flag('MultiRegion')) throw unsupported('MultiRegion');
    const account = accountOf(principal.arn);
    const key: Omit<StoredKey, 'material'> = {
      ...{ keyId: randomUUID(), account, description: fields.optionalText('Description') ?? '' },
      ...{ createdMs: nowMs(), deletionMs: undefined, grants: [] },
      state: 'Enabled',
      policy: fields.optionalText('Policy') ?? defaultPolicy(account),
    };
    ring.checkPolicy(call, { ...key, material: '' }, key.policy);
    return { KeyMetadata: metadata(ring, await store.create(key)) };
  };

  const listKeys = async (call: Call): Promise<Answer> => {
    ring.requireIam(call, 'ListKeys');
    const own = store.keys.filter(({ account }) => account === accountOf(call.principal.arn));
    return { Keys: own.map((key) => ({ KeyId: key.keyId, KeyArn: ring.arn(key) })), Truncated: false };
  };

  const getKeyPolicy = async (call: Call): Promise<Answer> => {
    const { policy } = await ring.permitted(call, 'GetKeyPolicy');
    requirePolicyName(call.fields);
    return { Policy: policy, PolicyName: 'default' };
  };

  const putKeyPolicy = async (call: Call): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, 'PutKeyPolicy');
    requirePolicyName(call.fields);
    const policy = call.fields.text('Policy');
    await store.change(keyId, (key) => {
      ring.checkPolicy(call, key, policy);
      return { ...key, policy };
    });
    return {};
  };

  const createGrant = async (call: Call): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, 'CreateGrant');
    const grant = readGrant(call.fields, randomBytes(32).toString('hex'), nowMs());
    await store.change(keyId, (key) => ({ ...key, grants: [...key.grants, grant] }));
    return { GrantId: grant.id, GrantToken: randomBytes(32).toString('base64') };
  };

  const listGrants = async (call: Call): Promise<Answer> => {
    const key = await ring.permitted(call, 'ListGrants');
    return {
      Grants: key.grants.map((grant) => describeGrant(grant, ring.arn(key), key.account)),
      Truncated: false,
    };
  };

  const revokeGrant = async (call: Call): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, 'RevokeGrant');
    const id = call.fields.text('GrantId');
    await store.change(keyId, (key) => {
      const grants = key.grants.filter((grant) => grant.id !== id);
      if (grants.length === key.grants.length)
        throw new ServiceError('NotFoundException', 'Grant does not exist');
      return { ...key, grants };
    });
    return {};
  };

  const setState = async (call: Call, operation: string, state: 'Enabled' | 'Disabled'): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, operation);
    await store.change(keyId, (key) => {
      if (key.state === 'PendingDeletion') throw ring.invalidState(key);
      return { ...key, state };
    });
    return {};
  };

  const scheduleDeletion = async (call: Call): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, 'ScheduleKeyDeletion');
    const days = call.fields.has('PendingWindowInDays')
      ? call.fields.integer('PendingWindowInDays', 7, 30)
      : 30;
    const deletionMs = nowMs() + days * DAY_MS;
    const key = await store.change(keyId, (before) => {
      if (before.state === 'PendingDeletion') throw ring.invalidState(before);
      return { ...before, state: 'PendingDeletion', deletionMs };
    });
    const DeletionDate = deletionMs / 1000;
    return { KeyId: ring.arn(key), DeletionDate, KeyState: key.state, PendingWindowInDays: days };
  };

  const cancelDeletion = async (call: Call): Promise<Answer> => {
    const { keyId } = await ring.permitted(call, 'CancelKeyDeletion');
    const key = await store.change(keyId, (before) => {
      if (before.state !== 'PendingDeletion') throw ring.invalidState(before);
      return { ...before, state: 'Disabled', deletionMs: undefined };
    });
    return { KeyId: ring.arn(key) };
  };

  return new Map([
    ['CreateKey', createKey],
    ['ListKeys', listKeys],
    [
      'DescribeKey',
      async (call) => ({ KeyMetadata: metadata(ring, await ring.permitted(call, 'DescribeKey')) }),
    ],
    ['GetKeyPolicy', getKeyPolicy],
    ['PutKeyPolicy', putKeyPolicy],
    ['CreateGrant', createGrant],
    ['ListGrants', listGrants],
    ['RevokeGrant', revokeGrant],
    ['DisableKey', (call) => setState(call, 'DisableKey', 'Disabled')],
    ['EnableKey', (call) => setState(call, 'EnableKey', 'Enabled')],
    ['ScheduleKeyDeletion', scheduleDeletion],
    ['CancelKeyDeletion', cancelDeletion],
  ]);
}

function metadata(ring: KeyRing, key: StoredKey): Answer {
  return {
    ...{
      AWSAccountId: key.account,
      KeyId: key.keyId,
      Arn: ring.arn(key),
      CreationDate: key.createdMs / 1000,
    },
    ...{ Enabled: key.state === 'Enabled', KeyState: key.state, Description: key.description },
    ...{
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeySpec: 'SYMMETRIC_DEFAULT',
      CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    },
    ...{
      Origin: 'AWS_KMS',
      KeyManager: 'CUSTOMER',
      MultiRegion: false,
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    },
    ...(key.deletionMs === undefined ? {} : { DeletionDate: key.deletionMs / 1000 }),
  };
}

/** What AWS gives a key that is made without one: everything is left to the account's IAM. */
function defaultPolicy(account: string): string {
  const Principal = { AWS: `arn:aws:iam::${account}:root` };
  const Sid = 'Enable IAM User Permissions';
  const statement = { Sid, Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' };
  return JSON.stringify({ Version: '2012-10-17', Id: 'key-default-1', Statement: [statement] });
}

function requirePolicyName(fields: Fields): void {
  const name = fields.optionalText('PolicyName') ?? 'default';
  if (name !== 'default') throw new ServiceError('NotFoundException', `No such policy ${name}`);
}

function unsupported(what: string): ServiceError {
  return new ServiceError('UnsupportedOperationException', `there are no such keys here: ${what}`);
}
