import { describe, expect, it } from 'vitest';
import { conditionsMatch, like } from '../../../infra/local/kms/conditions.ts';
import { evaluate, parsePolicy } from '../../../infra/local/kms/key-policy.ts';
import { ACCOUNT, KEY, OPERATOR, ROLE, ROOT } from '../sealing/policies.ts';

const conditions = (
  operator: string,
  key: string,
  ...wanted: string[]
): Parameters<typeof conditionsMatch>[0] => new Map([[operator, new Map([[key, wanted]])]]);
const context = new Map([
  ['kms:recipientattestation:pcr0', ['aB']],
  ['kms:encryptioncontextkeys', ['network', 'party']],
  ['aws:securetransport', ['true']],
]);
const PCR0 = 'kms:RecipientAttestation:PCR0';
const ABSENT = 'kms:RecipientAttestation:PCR16';
const KEYS = 'kms:EncryptionContextKeys';

describe('conditions, as the documentation of IAM has them', () => {
  it.each<[string, string, string[], boolean]>([
    ['StringEquals', PCR0, ['aB'], true],
    ['StringEquals', PCR0, ['ab'], false],
    ['StringEquals', PCR0, ['x', 'aB'], true],
    ['StringEqualsIgnoreCase', PCR0, ['AB'], true],
    ['stringequalsignorecase', PCR0, ['AB'], true],
    ['StringNotEqualsIgnoreCase', PCR0, ['ab'], false],
    ['StringNotEqualsIgnoreCase', PCR0, ['ac'], true],
    ['StringNotEquals', PCR0, ['aB', 'x'], false],
    // An absent key: positive operators do not match, negated ones do.
    ['StringEquals', ABSENT, ['x'], false],
    ['StringLike', ABSENT, ['*'], false],
    ['StringNotEquals', ABSENT, ['x'], true],
    ['StringNotEqualsIgnoreCase', ABSENT, ['x'], true],
    ['StringEqualsIfExists', ABSENT, ['x'], true],
    ['StringEqualsIfExists', PCR0, ['x'], false],
    ['Null', ABSENT, ['true'], true],
    ['Null', ABSENT, ['false'], false],
    ['Null', PCR0, ['true'], false],
    ['Null', PCR0, ['false'], true],
    ['Bool', 'aws:SecureTransport', ['true'], true],
    ['Bool', 'aws:SecureTransport', ['false'], false],
    ['StringLike', PCR0, ['a*'], true],
    ['StringNotLike', PCR0, ['a?'], false],
    ['ForAnyValue:StringEquals', KEYS, ['party'], true],
    ['ForAllValues:StringEquals', KEYS, ['party'], false],
    ['ForAllValues:StringEquals', KEYS, ['party', 'network'], true],
    ['ForAllValues:StringEquals', ABSENT, ['x'], true],
    ['ForAnyValue:StringEquals', ABSENT, ['x'], false],
    ['NoSuchOperator', PCR0, ['aB'], false],
  ])('conditions: %s %s %j is %s', (operator, key, wanted, expected) => {
    expect(conditionsMatch(conditions(operator, key, ...wanted), context)).toBe(expected);
  });

  it('conditions: all keys of all operators must match', () => {
    const both = new Map([
      [
        'StringEquals',
        new Map([
          [PCR0, ['aB']],
          [ABSENT, ['x']],
        ]),
      ],
    ]);
    expect(conditionsMatch(both, context)).toBe(false);
    expect(conditionsMatch(new Map(), context)).toBe(true);
  });

  it('conditions: wildcards are * and ?, and nothing else', () => {
    expect(like('kms:Decrypt', 'kms:De*')).toBe(true);
    expect(like('kms:Decrypt', 'kms:Decryp?')).toBe(true);
    expect(like('kms:Decrypt', 'kms.Decrypt')).toBe(false);
    expect(like('kms:Decrypt', 'kms:[D]ecrypt*')).toBe(false);
  });
});

const principal = (arn: string): { accessKeyId: string; secretAccessKey: string; arn: string } => ({
  ...{ accessKeyId: 'x', secretAccessKey: 'x', arn },
});

function verdict(statements: readonly object[], arn: string, action = 'kms:Decrypt'): string {
  const text = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  return evaluate(parsePolicy(text), { principal: principal(arn), action, resource: KEY, context });
}

const allow = (Principal: unknown, Action: unknown = 'kms:*', more: object = {}): object => ({
  ...{ Effect: 'Allow', Principal, Action, Resource: '*', ...more },
});

describe('key policies', () => {
  it('key policy evaluation: nothing is allowed that is not', () => {
    expect(verdict([], ROLE)).toBe('neither');
    expect(verdict([allow({ AWS: OPERATOR })], ROLE)).toBe('neither');
    expect(verdict([allow({ AWS: ROLE }, 'kms:Encrypt')], ROLE)).toBe('neither');
    expect(verdict([allow({ AWS: ROLE }, 'kms:*', { Resource: 'arn:aws:kms:*:*:key/other' })], ROLE)).toBe(
      'neither',
    );
  });

  it('key policy evaluation: principals by name, by account, by root and by star', () => {
    expect(verdict([allow({ AWS: ROLE })], ROLE)).toBe('allow');
    expect(verdict([allow({ AWS: [OPERATOR, ROLE] }, ['KMS:DECRYPT'])], ROLE)).toBe('allow');
    expect(verdict([allow('*')], ROLE)).toBe('allow');
    expect(verdict([allow({ AWS: '*' })], 'arn:aws:iam::999999999999:user/x')).toBe('allow');
    expect(verdict([allow({ AWS: ROOT })], ROLE)).toBe('account');
    expect(verdict([allow({ AWS: ACCOUNT })], ROLE)).toBe('account');
    expect(verdict([allow({ AWS: ROOT })], 'arn:aws:iam::999999999999:user/x')).toBe('neither');
    expect(verdict([allow({ AWS: ROOT })], ROOT)).toBe('allow');
  });

  it('key policy evaluation: a Deny wins, wherever it stands', () => {
    const deny = { Effect: 'Deny', Principal: '*', Action: 'kms:Decrypt', Resource: '*' };
    expect(verdict([allow({ AWS: ROLE }), deny], ROLE)).toBe('deny');
    expect(verdict([deny, allow({ AWS: ROLE })], ROLE)).toBe('deny');
    expect(verdict([allow({ AWS: ROLE }), deny], ROLE, 'kms:Encrypt')).toBe('allow');
    const ofRoot = { ...deny, Principal: { AWS: ROOT } };
    expect(verdict([allow({ AWS: ROLE }), ofRoot], ROLE)).toBe('deny');
    const others = { Effect: 'Deny', Principal: '*', NotAction: ['kms:Decrypt'], Resource: '*' };
    expect(verdict([allow({ AWS: ROLE }), others], ROLE)).toBe('allow');
    expect(verdict([allow({ AWS: ROLE }), others], ROLE, 'kms:PutKeyPolicy')).toBe('deny');
  });

  it.each<[string, unknown]>([
    ['no JSON', 'x'],
    ['no object', []],
    ['another version', { Version: '2020-01-01', Statement: [] }],
    ['an unknown element', { Version: '2012-10-17', Statement: [], Other: 1 }],
    ['no principal', { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }],
    ['no resource', { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Principal: '*' }] }],
    ['both kinds of action', { Version: '2012-10-17', Statement: [allow('*', '*', { NotAction: '*' })] }],
    ['another effect', { Version: '2012-10-17', Statement: [allow('*', '*', { Effect: 'Maybe' })] }],
    [
      'an unknown condition',
      { Version: '2012-10-17', Statement: [allow('*', '*', { Condition: { Is: { a: 'b' } } })] },
    ],
    [
      'an unknown element of a statement',
      { Version: '2012-10-17', Statement: [allow('*', '*', { Comment: 'x' })] },
    ],
  ])('key policy evaluation: %s is malformed', (_, policy) => {
    const text = typeof policy === 'string' ? policy : JSON.stringify(policy);
    expect(() => parsePolicy(text)).toThrow(
      expect.objectContaining({ name: 'MalformedPolicyDocumentException' }),
    );
  });
});
