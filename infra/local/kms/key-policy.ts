import { type Conditions, conditionsMatch, isOperator, like, type RequestContext } from './conditions.ts';
import { accountOf, type Principal } from './principals.ts';
import { ServiceError } from './service-error.ts';

/** A key policy, as AWS reads it. Names of elements have exact case; actions do not. */
export interface Policy {
  readonly statements: readonly Statement[];
}

interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** ARNs, accounts, or '*'. */
  readonly principals: readonly string[];
  readonly isPrincipalNegated: boolean;
  readonly actions: readonly string[];
  readonly isActionNegated: boolean;
  readonly resources: readonly string[];
  readonly conditions: Conditions;
}

export interface PolicyQuestion {
  readonly principal: Principal;
  /** `kms:Decrypt` */
  readonly action: string;
  /** ARN of the key. */
  readonly resource: string;
  readonly context: RequestContext;
}

const MAX_POLICY_CHARACTERS = 32 * 1024;
const ELEMENTS = new Set([
  ...[
    'Sid',
    'Effect',
    'Principal',
    'NotPrincipal',
    'Action',
    'NotAction',
    'Resource',
    'NotResource',
    'Condition',
  ],
]);

/** @throws {ServiceError} MalformedPolicyDocumentException */
export function parsePolicy(text: string): Policy {
  if (text.length > MAX_POLICY_CHARACTERS)
    throw new ServiceError('LimitExceededException', 'the policy is too long');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed('it is no JSON');
  }
  const { Version, Id, Statement, ...others } = objectOf(document, 'the policy');
  if (Version !== '2012-10-17' && Version !== '2008-10-17') throw malformed('Version');
  if (Id !== undefined && typeof Id !== 'string') throw malformed('Id');
  if (Object.keys(others).length > 0) throw malformed(`unknown element ${Object.keys(others)[0]}`);
  const list: readonly unknown[] = Array.isArray(Statement) ? Statement : [Statement];
  return { statements: list.map(statementOf) };
}

/**
 * An explicit Deny wins. `account`: the policy leaves it to IAM, by naming the account's root.
 */
export function evaluate(policy: Policy, question: PolicyQuestion): 'allow' | 'deny' | 'account' | 'neither' {
  const { arn } = question.principal;
  const matching = policy.statements.filter((statement) => applies(statement, question));
  if (matching.some((one) => one.effect === 'Deny' && names(one, arn) !== 'no')) return 'deny';
  const allows = matching.filter(({ effect }) => effect === 'Allow').map((one) => names(one, arn));
  if (allows.includes('itself')) return 'allow';
  return allows.includes('account') ? 'account' : 'neither';
}

function applies(statement: Statement, { action, resource, context }: PolicyQuestion): boolean {
  const { actions, isActionNegated, resources, conditions } = statement;
  const isNamed = actions.some((pattern) => like(action.toLowerCase(), pattern.toLowerCase()));
  return (
    isNamed !== isActionNegated &&
    resources.some((pattern) => like(resource, pattern)) &&
    conditionsMatch(conditions, context)
  );
}

/** Whether a statement means a principal itself, or its whole account. */
function names(
  { principals, isPrincipalNegated, effect }: Statement,
  arn: string,
): 'itself' | 'account' | 'no' {
  const root = `arn:aws:iam::${accountOf(arn)}:root`;
  const isItself = principals.includes('*') || principals.includes(arn);
  const isAccount = principals.includes(root) || principals.includes(accountOf(arn));
  if (isPrincipalNegated) return isItself || isAccount ? 'no' : 'itself';
  if (isItself || (isAccount && effect === 'Deny')) return 'itself';
  return isAccount ? 'account' : 'no';
}

function statementOf(value: unknown): Statement {
  const statement = objectOf(value, 'a statement');
  for (const name of Object.keys(statement))
    if (!ELEMENTS.has(name)) throw malformed(`unknown element ${name}`);
  const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition } = statement;
  if (Effect !== 'Allow' && Effect !== 'Deny') throw malformed('Effect');
  if ((Action === undefined) === (NotAction === undefined)) throw malformed('Action or NotAction');
  if ((Principal === undefined) === (NotPrincipal === undefined))
    throw malformed('Principal or NotPrincipal');
  if (Resource === undefined || NotResource !== undefined) throw malformed('Resource');
  return {
    effect: Effect,
    principals: principalsOf(Principal ?? NotPrincipal),
    isPrincipalNegated: Principal === undefined,
    actions: textsOf(Action ?? NotAction, 'Action'),
    isActionNegated: Action === undefined,
    resources: textsOf(Resource, 'Resource'),
    conditions: conditionsOf(Condition),
  };
}

function principalsOf(value: unknown): readonly string[] {
  if (value === '*') return ['*'];
  const { AWS, Service, Federated, ...others } = objectOf(value, 'Principal');
  if (Object.keys(others).length > 0) throw malformed('Principal');
  return [AWS, Service, Federated].flatMap((one) => (one === undefined ? [] : textsOf(one, 'Principal')));
}

function conditionsOf(value: unknown): Conditions {
  if (value === undefined) return new Map();
  return new Map(
    Object.entries(objectOf(value, 'Condition')).map(([name, keys]) => {
      if (!isOperator(name)) throw malformed(`the condition operator ${name} is not known here`);
      const wanted = Object.entries(objectOf(keys, name));
      return [name, new Map(wanted.map(([key, texts]) => [key, textsOf(texts, key)]))];
    }),
  );
}

function textsOf(value: unknown, what: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((one) => {
    if (typeof one !== 'string' && typeof one !== 'boolean') throw malformed(what);
    return String(one);
  });
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(what);
  return { ...value };
}

function malformed(what: string): ServiceError {
  return new ServiceError('MalformedPolicyDocumentException', `the policy is malformed: ${what}`);
}
