import { describe, expect, it } from 'vitest';
import { keyPolicy, policyRegistersOf } from '../../../shared/sealing/kms-policy.ts';
import { checkKeyPolicy } from '../../../shared/sealing/policy-inspection.ts';
import { parseStrictJson } from '../../../shared/sealing/strict-json.ts';
import {
  ACCOUNT,
  canonical,
  type Document,
  expectation,
  OPERATOR,
  ROLE,
  ROOT,
  registers,
  statement,
} from './policies.ts';

const check = (policy: unknown): void => checkKeyPolicy(JSON.stringify(policy), ACCOUNT, expectation);
const refused = expect.objectContaining({ code: 'KMS_POLICY' });
const badInput = expect.objectContaining({ code: 'BAD_INPUT' });

describe('key policy: the canonical one', () => {
  it('key policy: states every register in the Allow, and denies each that differs or is absent', () => {
    const { Statement } = keyPolicy(ACCOUNT, { ...expectation, operators: [] });
    expect(Statement.map(({ Sid }) => Sid)).toEqual([
      ...['AttestedUse', 'Inspection', 'NothingElse', 'OtherImageSha384', 'WithoutImageSha384'],
      ...['OtherPCR3', 'WithoutPCR3', 'OtherPCR8', 'WithoutPCR8', 'OtherPCR16', 'WithoutPCR16'],
    ]);
    const a = (byte: string): string => byte.repeat(48);
    expect(Statement[0]).toEqual({
      ...{ Sid: 'AttestedUse', Effect: 'Allow', Principal: { AWS: ROLE }, Resource: '*' },
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
      Condition: {
        StringEqualsIgnoreCase: {
          'kms:RecipientAttestation:ImageSha384': a('a0'),
          'kms:RecipientAttestation:PCR3': a('a3'),
          'kms:RecipientAttestation:PCR8': a('a8'),
          'kms:RecipientAttestation:PCR16': a('b6'),
        },
      },
    });
    expect(JSON.stringify(Statement)).not.toContain(':root');
  });

  it('key policy: registers of zeros and principals of others make none', () => {
    const make = (change: object): unknown =>
      keyPolicy(ACCOUNT, { ...expectation, operators: [], ...change });
    for (const name of ['pcr0', 'pcr3', 'pcr8', 'pcr16']) {
      expect(() => make({ registers: { ...registers, [name]: new Uint8Array(48) } })).toThrow(badInput);
      expect(() => make({ registers: { ...registers, [name]: new Uint8Array(47).fill(1) } })).toThrow(
        badInput,
      );
    }
    const roles = [
      ROOT,
      '*',
      'arn:aws:iam::999999999999:role/x',
      `arn:aws:iam::${ACCOUNT}:user/x`,
      `${ROLE}*`,
      '',
    ];
    for (const role of roles) expect(() => make({ role })).toThrow(badInput);
    for (const operator of [
      ROOT,
      '*',
      'arn:aws:iam::999999999999:role/x',
      `arn:aws:iam::${ACCOUNT}:role/*`,
    ]) {
      expect(() => make({ operators: [operator] })).toThrow(badInput);
    }
  });

  it("key policy: an enclave's own registers decide what is stated", () => {
    const zero = new Uint8Array(48);
    const pcrs = new Map([
      [0, registers.pcr0],
      [3, zero],
      [8, zero],
      [16, registers.pcr16],
    ]);
    expect(policyRegistersOf(pcrs)).toEqual({ pcr0: registers.pcr0, pcr16: registers.pcr16 });
    const all = new Map([
      [0, registers.pcr0],
      [3, registers.pcr3!],
      [8, registers.pcr8!],
      [16, registers.pcr16],
    ]);
    expect(policyRegistersOf(all)).toEqual(registers);
    for (const index of [0, 16])
      expect(() => policyRegistersOf(new Map([...all, [index, zero]]))).toThrow(badInput);
    expect(() => policyRegistersOf(new Map())).toThrow(badInput);
  });
});

describe('key policy: inspection accepts', () => {
  it('inspection: the canonical policy in every form that AWS gives it', () => {
    check(canonical());
    check(canonical({ operators: [] }));
    check(canonical({ operators: [OPERATOR, `arn:aws:iam::${ACCOUNT}:user/path/anna`] }));
    const policy = canonical();
    policy.Statement.reverse();
    const everybody = statement(policy, 'NothingElse');
    everybody.Principal = '*';
    const use = statement(policy, 'AttestedUse');
    use.Principal = { AWS: [ROLE] };
    use.Action = ['kms:GenerateDataKey', 'kms:Decrypt'];
    use.Resource = ['*'];
    check(policy);
    checkKeyPolicy(JSON.stringify(policy, undefined, 2), ACCOUNT, expectation);
    const operators = statement(policy, 'Operators');
    operators.Action = 'kms:ScheduleKeyDeletion';
    operators.Principal = { AWS: OPERATOR };
    check(policy);
  });
});

type Change = (policy: Document) => void;
const change = (sid: string, element: string, value: unknown): Change => {
  return (policy) => {
    statement(policy, sid)[element] = value;
  };
};
const without = (...sids: string[]): Change => {
  return (policy) => {
    policy.Statement = policy.Statement.filter(({ Sid }) => !sids.includes(String(Sid)));
  };
};
const adding = (extra: object): Change => {
  return (policy) => {
    policy.Statement.push({ Sid: 'Extra', Effect: 'Allow', Resource: '*', ...extra });
  };
};
const conditions = (keys: object): object => ({ StringEqualsIgnoreCase: keys });
const hex = (byte: string): string => byte.repeat(48);

const attacks: readonly (readonly [string, Change])[] = [
  ['the root of the account', adding({ Principal: { AWS: ROOT }, Action: 'kms:*' })],
  ['anybody who may decrypt', adding({ Principal: '*', Action: 'kms:Decrypt' })],
  [
    'somebody who may change the policy',
    adding({ Principal: { AWS: OPERATOR }, Action: 'kms:PutKeyPolicy' }),
  ],
  ['somebody who may grant', adding({ Principal: { AWS: OPERATOR }, Action: 'kms:CreateGrant' })],
  ['somebody who may encrypt', adding({ Principal: { AWS: OPERATOR }, Action: 'kms:Encrypt' })],
  [
    'a harmless statement that nobody knows',
    adding({ Principal: { AWS: OPERATOR }, Action: 'kms:DescribeKey' }),
  ],
  [
    'a second statement for operators',
    adding({ Sid: 'Operators', Principal: { AWS: OPERATOR }, Action: 'kms:EnableKey' }),
  ],
  [
    'operators who may change the policy',
    change('Operators', 'Action', ['kms:EnableKey', 'kms:PutKeyPolicy']),
  ],
  ['operators who may do everything', change('Operators', 'Action', '*')],
  ['operators with wildcards', change('Operators', 'Action', ['kms:Enable*'])],
  ['operators in another case', change('Operators', 'Action', ['kms:putkeypolicy'])],
  [
    'operators with all actions but some',
    (policy) => {
      const { Action, ...others } = statement(policy, 'Operators');
      policy.Statement = [
        ...policy.Statement.filter(({ Sid }) => Sid !== 'Operators'),
        { ...others, NotAction: Action },
      ];
    },
  ],
  ['operators from everywhere', change('Operators', 'Principal', '*')],
  ['operators by wildcard', change('Operators', 'Principal', { AWS: '*' })],
  ['the root as operator', change('Operators', 'Principal', { AWS: ROOT })],
  ['the account as operator', change('Operators', 'Principal', { AWS: ACCOUNT })],
  [
    'operators of another account',
    change('Operators', 'Principal', { AWS: 'arn:aws:iam::999999999999:role/x' }),
  ],
  [
    'a service as operator',
    change('Operators', 'Principal', { AWS: OPERATOR, Service: 'ec2.amazonaws.com' }),
  ],
  ['no operator at all', change('Operators', 'Principal', { AWS: [] })],
  ['operators who are denied', change('Operators', 'Effect', 'Deny')],
  ['operators under a condition', change('Operators', 'Condition', conditions({}))],
  ['operators who do nothing', change('Operators', 'Action', [])],
  ['operators whose actions are no texts', change('Operators', 'Action', { a: 'b' })],
  [
    'operators of another resource',
    change('Operators', 'Resource', 'arn:aws:kms:us-east-1:111122223333:key/x'),
  ],
  ['another Sid of operators', change('Operators', 'Sid', 'Ops')],
  ...['AttestedUse', 'Inspection', 'NothingElse'].map((sid) => [`no ${sid}`, without(sid)] as const),
  ...['ImageSha384', 'PCR3', 'PCR8', 'PCR16'].flatMap((register) => [
    [`no Deny for another ${register}`, without(`Other${register}`)] as const,
    [`no Deny without ${register}`, without(`Without${register}`)] as const,
    [`a Deny of ${register} that allows`, change(`Other${register}`, 'Effect', 'Allow')] as const,
    [`a Deny of ${register} for some`, change(`Other${register}`, 'Principal', { AWS: OPERATOR })] as const,
    [
      `a Deny of ${register} that forgets Decrypt`,
      change(`Other${register}`, 'Action', 'kms:GenerateDataKey'),
    ] as const,
    [
      `an absent ${register} that must be present`,
      change(`Without${register}`, 'Condition', {
        Null: { [`kms:RecipientAttestation:${register}`]: 'false' },
      }),
    ] as const,
  ]),
  [
    'another image',
    change('AttestedUse', 'Condition', conditions({ 'kms:RecipientAttestation:ImageSha384': hex('a1') })),
  ],
  [
    'one register of four',
    change('AttestedUse', 'Condition', conditions({ 'kms:RecipientAttestation:ImageSha384': hex('a0') })),
  ],
  ['no condition', change('AttestedUse', 'Condition', undefined)],
  [
    'another operator of conditions',
    (policy) => {
      const use = statement(policy, 'AttestedUse');
      use.Condition = { StringEqualsIgnoreCaseIfExists: Object(use.Condition).StringEqualsIgnoreCase };
    },
  ],
  [
    'two images',
    (policy) => {
      const use = statement(policy, 'AttestedUse');
      const keys = Object(use.Condition).StringEqualsIgnoreCase;
      use.Condition = conditions({ ...keys, 'kms:RecipientAttestation:ImageSha384': [hex('a0'), hex('a1')] });
    },
  ],
  ['another role', change('AttestedUse', 'Principal', { AWS: OPERATOR })],
  ['two roles', change('AttestedUse', 'Principal', { AWS: [ROLE, OPERATOR] })],
  ['everybody as role', change('AttestedUse', 'Principal', '*')],
  [
    'more actions than enclaves need',
    change('AttestedUse', 'Action', ['kms:Decrypt', 'kms:GenerateDataKey', 'kms:Encrypt']),
  ],
  ['more that is not denied', change('NothingElse', 'NotAction', ['kms:Decrypt', 'kms:PutKeyPolicy'])],
  ['a denial of nothing', change('NothingElse', 'NotAction', '*')],
  ['a denial for one', change('NothingElse', 'Principal', { AWS: OPERATOR })],
  [
    'a denial under a condition',
    change('NothingElse', 'Condition', { Bool: { 'aws:SecureTransport': 'false' } }),
  ],
  [
    'a denial for another resource',
    change('NothingElse', 'Resource', 'arn:aws:kms:us-east-1:111122223333:key/x'),
  ],
  ['an element that nobody knows', change('Inspection', 'Comment', 'x')],
  ['a statement twice', (policy) => policy.Statement.push({ ...statement(policy, 'Inspection') })],
  ['lists of lists', change('Inspection', 'Action', [['kms:DescribeKey']])],
  ['objects in lists', change('AttestedUse', 'Condition', [statement(canonical(), 'AttestedUse').Condition])],
  [
    'no statements',
    (policy) => {
      policy.Statement = [];
    },
  ],
  [
    'statements that are none',
    (policy) => {
      policy.Statement.push(Object.create(null));
    },
  ],
  [
    'another version of the language',
    (policy) => {
      policy.Version = '2008-10-17';
    },
  ],
  [
    'another id',
    (policy) => {
      policy.Id = 'mine';
    },
  ],
  [
    'an element of the policy that nobody knows',
    (policy) => {
      policy.Comment = 'x';
    },
  ],
];

describe('key policy: inspection refuses', () => {
  it.each(attacks)('inspection: %s', (_, attack) => {
    const policy = canonical();
    attack(policy);
    expect(() => check(policy)).toThrow(refused);
  });

  it('inspection: a policy of another image, network or role, and one that states less', () => {
    const other = new Uint8Array(48).fill(9);
    for (const name of ['pcr0', 'pcr3', 'pcr8', 'pcr16']) {
      expect(() => check(canonical({ registers: { ...registers, [name]: other } }))).toThrow(refused);
    }
    const { pcr3: _, ...rest } = registers;
    expect(() => check(canonical({ registers: rest }))).toThrow(refused);
    const less = { role: ROLE, registers: rest };
    expect(() => checkKeyPolicy(JSON.stringify(canonical()), ACCOUNT, less)).toThrow(refused);
    expect(() => check(canonical({ role: `arn:aws:iam::${ACCOUNT}:role/other` }))).toThrow(refused);
  });

  it('inspection: what is no unambiguous JSON', () => {
    const text = JSON.stringify(canonical());
    const root = `{"Sid":"X","Effect":"Allow","Principal":{"AWS":"${ROOT}"},"Action":"kms:*","Resource":"*"}`;
    const doubled = text.replace('"Statement":', `"Statement":[${root}],"Statement":`);
    expect(JSON.parse(doubled)).toEqual(canonical());
    const texts = [
      '',
      '[]',
      'null',
      '"x"',
      `${text}x`,
      doubled,
      text.replace('kms:Decrypt', String.raw`kms:\u0044ecrypt`),
    ];
    for (const one of [...texts, `${text}${' '.repeat(40_000)}`]) {
      expect(() => checkKeyPolicy(one, ACCOUNT, expectation)).toThrow(refused);
    }
  });
});

describe('strict JSON', () => {
  it.each([
    '{"a":"b","a":"b"}',
    '{"a":1}',
    String.raw`"\n"`,
    '{a:"b"}',
    '["a",]',
    '{"1":"b","0":"c"}',
    '',
    '"a" "b"',
  ])('strict JSON: %s is BAD_ENCODING', (text) => {
    expect(() => parseStrictJson(text)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
  });

  it('strict JSON: the rest is read', () => {
    expect(parseStrictJson(' {"a" : ["b", true,\n\tnull, {}],"__proto__":"x"}\r')).toEqual(
      JSON.parse('{"a":["b",true,null,{}],"__proto__":"x"}'),
    );
  });
});
