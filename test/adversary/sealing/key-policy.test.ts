import { describe, expect, it } from 'vitest';
import type * as Inspection from '../../../shared/sealing/policy-inspection.ts';
import {
  ACCOUNT,
  canonical,
  type Document,
  expectation,
  OPERATOR,
  ROOT,
  statement,
} from '../../unit/sealing/policies.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const FILE = 'shared/sealing/policy-inspection.ts';

/** @returns whether inspection accepts a policy that lets somebody else in */
async function attack(name: string, edits: readonly Edit[], text: string): Promise<void> {
  const outcome = await attackBoth(`key-policy-${name}`, edits, async (load) => {
    const { checkKeyPolicy } = await load<typeof Inspection>(FILE);
    try {
      checkKeyPolicy(text, ACCOUNT, expectation);
      return true;
    } catch {
      return false;
    }
  });
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
}

function policyWith(change: (policy: Document) => void): string {
  const policy = canonical();
  change(policy);
  return JSON.stringify(policy);
}

const rules: readonly (readonly [string, string, string, (policy: Document) => void])[] = [
  [
    'operators do nothing but cost availability',
    'actions.every((action) => operatorActions.includes(action))',
    'true',
    (policy) => {
      statement(policy, 'Operators').Action = 'kms:PutKeyPolicy';
    },
  ],
  [
    'operators are named principals of the account',
    'principals.every((arn) => isOperator(arn, account))',
    'true',
    (policy) => {
      statement(policy, 'Operators').Principal = { AWS: '*' };
    },
  ],
  [
    'a statement of operators has no other element',
    'Object.keys({ ...others, ...otherPrincipals }).length === 0',
    'true',
    (policy) => {
      statement(policy, 'Operators').NotAction = 'kms:DescribeKey';
    },
  ],
  [
    'every statement of the policy is there',
    'if (absent !== undefined)',
    'if (false)',
    (policy) => {
      policy.Statement = policy.Statement.filter(({ Effect }) => Effect === 'Allow');
    },
  ],
  [
    'no statement is there that nobody knows',
    'if (!isOperatorStatement(statement, account))',
    'if (false)',
    (policy) => {
      policy.Statement = policy.Statement.filter(({ Sid }) => Sid !== 'Operators');
      policy.Statement.push({ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' });
    },
  ],
  [
    'operators have one statement',
    'if (++operators > 1)',
    'if (false)',
    (policy) => {
      policy.Statement.push({
        ...{
          Sid: 'Operators',
          Effect: 'Allow',
          Principal: { AWS: OPERATOR },
          Action: 'kms:DisableKey',
          Resource: '*',
        },
      });
    },
  ],
];

describe('key policy under attack', () => {
  it.each(rules)('key policy: %s', async (name, find, replace, change) => {
    await attack(name.replaceAll(' ', '-'), [{ file: FILE, find, replace }], policyWith(change));
  });

  it('key policy: a name that occurs twice means one thing to us and another to AWS', async () => {
    const root = `{"Sid":"X","Effect":"Allow","Principal":{"AWS":"${ROOT}"},"Action":"kms:*","Resource":"*"}`;
    const text = JSON.stringify(canonical()).replace('"Statement":', `"Statement":[${root}],"Statement":`);
    const find = 'if (JSON.stringify(value) !== compact)';
    await attack('twice', [{ file: 'shared/sealing/strict-json.ts', find, replace: 'if (false)' }], text);
  });
});
