import { KmsError } from '../errors.ts';
import { isOperator, keyPolicy, OPERATORS_SID, operatorActions, type PolicyRegisters } from './kms-policy.ts';
import { parseStrictJson } from './strict-json.ts';

/** What the policy of a node's key must say; from the node's configuration and its own registers. */
export interface PolicyExpectation {
  /** ARN of the role whose credentials the parent lends. */
  readonly role: string;
  readonly registers: PolicyRegisters;
}

/** AWS's own limit. */
export const MAX_POLICY_BYTES = 32 * 1024;

/**
 * Accepts the policy that keyPolicy() makes for these terms, with any operators or none, and no other: policies are compared,
 * not interpreted. AWS may order statements anew and write a list of one as its element.
 * @param text the answer of GetKeyPolicy
 * @param account of the key
 * @throws {KmsError} KMS_POLICY, naming the statement; BAD_INPUT for an expectation that no policy can meet
 */
export function checkKeyPolicy(text: string, account: string, expected: PolicyExpectation): void {
  const { Version, Id, Statement } = keyPolicy(account, { ...expected, operators: [] });
  const missing = new Map(Statement.map((one) => [JSON.stringify(normalised(one)), one.Sid]));
  let operators = 0;
  for (const statement of statementsOf(text, Version, Id)) {
    const form = JSON.stringify(normalised(statement));
    if (missing.delete(form)) continue;
    if (!isOperatorStatement(statement, account)) throw refused(`it has the statement ${sidOf(statement)}`);
    if (++operators > 1) throw refused('it has two statements for operators');
  }
  const [absent] = missing.values();
  if (absent !== undefined) throw refused(`it lacks the statement ${absent} as this image needs it`);
}

function statementsOf(text: string, version: string, id: string): readonly unknown[] {
  if (text.length > MAX_POLICY_BYTES) throw refused('it is too long');
  let policy: unknown;
  try {
    policy = parseStrictJson(text);
  } catch (cause) {
    throw new KmsError('KMS_POLICY', 'the policy of the key is no unambiguous JSON', { cause });
  }
  const { Version, Id, Statement, ...others } = fieldsOf(policy);
  if (Version !== version || Id !== id || Object.keys(others).length > 0 || !Array.isArray(Statement)) {
    throw refused('it is not one that infra/kms-policy makes');
  }
  return Statement;
}

/**
 * The one form of what AWS counts as equal: lists are sets, a list of one is its element, everybody is everybody. Names
 * of fields and conditions stay as they are: what is spelt otherwise is another policy here.
 */
function normalised(statement: unknown): unknown {
  const { Principal, Action, NotAction, ...others } = fieldsOf(statement);
  const sets = { Principal: Principal === '*' ? { AWS: '*' } : Principal, Action, NotAction };
  return sorted({ ...others, ...sets });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    // Lists of anything but texts have no place in a statement and equal nothing.
    const texts = value.every((one) => typeof one === 'string') ? [...new Set(value)].sort() : [];
    return texts.length === 1 ? texts[0] : { list: texts };
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, sorted(one)]);
}

/** Named principals of the account, and nothing but what costs availability. */
function isOperatorStatement(statement: unknown, account: string): boolean {
  const { Sid, Effect, Principal, Action, Resource, ...others } = fieldsOf(statement);
  const { AWS, ...otherPrincipals } = fieldsOf(Principal);
  const principals = textsOf(AWS);
  const actions = textsOf(Action);
  return (
    Sid === OPERATORS_SID &&
    Effect === 'Allow' &&
    Resource === '*' &&
    Object.keys({ ...others, ...otherPrincipals }).length === 0 &&
    principals.length > 0 &&
    principals.every((arn) => isOperator(arn, account)) &&
    actions.length > 0 &&
    actions.every((action) => operatorActions.includes(action))
  );
}

/** A text, or a list of texts; nothing for anything else. */
function textsOf(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = list.filter((one) => typeof one === 'string');
  return texts.length === list.length ? texts : [];
}

function fieldsOf(value: unknown): { readonly [name: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value));
}

/** For the message: what an attacker wrote is cut. */
function sidOf(statement: unknown): string {
  const { Sid } = fieldsOf(statement);
  return typeof Sid === 'string' && /^\w{1,64}$/.test(Sid) ? Sid : 'without a name';
}

function refused(what: string): KmsError {
  return new KmsError('KMS_POLICY', `the policy of the key does not do: ${what}`);
}
