import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, parsePolicy } from '../../../infra/local/kms/key-policy.ts';
import { codeOf } from '../../../shared/errors.ts';
import { operatorActions } from '../../../shared/sealing/kms-policy.ts';
import { checkKeyPolicy } from '../../../shared/sealing/policy-inspection.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import {
  ACCOUNT,
  canonical,
  type Document,
  expectation,
  KEY,
  OPERATOR,
  ROLE,
  ROOT,
  registers,
} from '../../unit/sealing/policies.ts';

/**
 * Inspection compares, the evaluator of the stand-in interprets. Whatever the first accepts must be harmless to the second,
 * for every principal, action and document that is not the image's.
 */
const ACTIONS = [
  ...['CancelKeyDeletion', 'ConnectCustomKeyStore', 'CreateAlias', 'CreateGrant', 'Decrypt', 'DeleteAlias'],
  ...['DeleteImportedKeyMaterial', 'DeriveSharedSecret', 'DescribeKey', 'DisableKey', 'DisableKeyRotation'],
  ...['EnableKey', 'EnableKeyRotation', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyPair'],
  ...[
    'GenerateDataKeyPairWithoutPlaintext',
    'GenerateDataKeyWithoutPlaintext',
    'GenerateMac',
    'GetKeyPolicy',
  ],
  ...['GetKeyRotationStatus', 'GetParametersForImport', 'GetPublicKey', 'ImportKeyMaterial', 'ListGrants'],
  ...['ListKeyPolicies', 'ListResourceTags', 'PutKeyPolicy', 'ReEncryptFrom', 'ReEncryptTo', 'ReplicateKey'],
  ...['RetireGrant', 'RevokeGrant', 'RotateKeyOnDemand', 'ScheduleKeyDeletion', 'Sign', 'TagResource'],
  ...[
    'UntagResource',
    'UpdateAlias',
    'UpdateKeyDescription',
    'UpdatePrimaryRegion',
    'Verify',
    'VerifyMac',
    'New',
  ],
].map((name) => `kms:${name}`);
const HARMLESS = new Set([...operatorActions]);
const PRINCIPALS = [
  ROOT,
  ROLE,
  OPERATOR,
  `arn:aws:iam::${ACCOUNT}:user/eve`,
  'arn:aws:iam::999999999999:role/eve',
];

const prefix = 'kms:recipientattestation:';
const image: ReadonlyMap<string, readonly string[]> = new Map([
  [`${prefix}imagesha384`, [toHex(registers.pcr0)]],
  [`${prefix}pcr0`, [toHex(registers.pcr0)]],
  ...[3, 8, 16].map(
    (i) => [`${prefix}pcr${i}`, [toHex(new Uint8Array(48).fill(i === 16 ? 0xb6 : 0xa0 + i))]] as const,
  ),
]);
const documents = [
  new Map<string, readonly string[]>(),
  ...[...image.keys()]
    .filter((key) => !key.endsWith('pcr0'))
    .flatMap((key) => [
      new Map([...image, [key, ['00'.repeat(48)]]]),
      new Map([...image].filter(([other]) => other !== key)),
    ]),
];

function harm(text: string): readonly string[] {
  const policy = parsePolicy(text);
  const found: string[] = [];
  for (const arn of PRINCIPALS) {
    const principal = { accessKeyId: 'x', secretAccessKey: 'x', arn };
    for (const action of ACTIONS) {
      for (const context of documents) {
        const verdict = evaluate(policy, { principal, action, resource: KEY, context });
        if ((verdict === 'allow' || verdict === 'account') && !HARMLESS.has(action))
          found.push(`${arn} ${action}`);
      }
      const attested = evaluate(policy, { principal, action, resource: KEY, context: image });
      const isMeant = arn === ROLE && (action === 'kms:Decrypt' || action === 'kms:GenerateDataKey');
      if (attested === 'allow' && !isMeant && !HARMLESS.has(action)) found.push(`${arn} attested ${action}`);
      if (isMeant && attested !== 'allow') found.push(`${action} is not allowed to the image`);
    }
  }
  return found;
}

const action = fc.constantFrom(...ACTIONS, 'kms:*', '*', 'kms:put*', 'KMS:DECRYPT');
const principal = fc.constantFrom<unknown>('*', ...[...PRINCIPALS, '*', ACCOUNT].map((AWS) => ({ AWS })));
const foreign = fc.record({
  Sid: fc.constantFrom('Operators', 'Extra', 'AttestedUse'),
  Effect: fc.constantFrom('Allow', 'Deny'),
  Principal: principal,
  Action: fc.oneof(action, fc.array(action, { minLength: 1, maxLength: 3 })),
  Resource: fc.constantFrom('*', KEY),
});

type Edit = (policy: Document) => void;
const edit: fc.Arbitrary<Edit> = fc.oneof(
  foreign.map(
    (one): Edit =>
      (policy) =>
        policy.Statement.push({ ...one }),
  ),
  fc.nat(11).map(
    (at): Edit =>
      (policy) =>
        void policy.Statement.splice(at, 1),
  ),
  fc
    .tuple(
      fc.nat(11),
      fc.constantFrom('Effect', 'Principal', 'Action', 'NotAction', 'Condition', 'Resource'),
      foreign,
    )
    .map(
      ([at, element, one]): Edit =>
        (policy) => {
          const target = policy.Statement[at];
          if (target !== undefined) target[element] = Object(one)[element];
        },
    ),
  fc.tuple(fc.nat(11), fc.nat(11)).map(
    ([a, b]): Edit =>
      (policy) => {
        const [one, two] = [policy.Statement[a], policy.Statement[b]];
        if (one === undefined || two === undefined) return;
        policy.Statement[a] = two;
        policy.Statement[b] = one;
      },
  ),
);

test('key policy: the canonical one does no harm, and lets the image work', () => {
  expect(harm(JSON.stringify(canonical()))).toEqual([]);
  expect(harm(JSON.stringify(canonical({ operators: [] })))).toEqual([]);
});

test('key policy: harm is seen where there is some', () => {
  const open = canonical();
  open.Statement = [{ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }];
  expect(harm(JSON.stringify(open)).length).toBeGreaterThan(10);
});

test('key policy: what inspection accepts does no harm', () => {
  let accepted = 0;
  const unchanged = JSON.stringify(canonical());
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 3 }), (edits) => {
      const policy = canonical();
      for (const one of edits) one(policy);
      const text = JSON.stringify(policy);
      try {
        checkKeyPolicy(text, ACCOUNT, expectation);
      } catch (error) {
        expect(codeOf(error)).toBe('KMS_POLICY');
        return;
      }
      accepted++;
      if (text !== unchanged) expect(harm(text)).toEqual([]);
    }),
    { numRuns: 400 },
  );
  expect(accepted).toBeGreaterThan(10);
});
