/**
 * Condition operators of AWS policies.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */

/** What is known of a request, by condition key in lower case. A key that is absent has no value at all. */
export type RequestContext = ReadonlyMap<string, readonly string[]>;

/** Operator by name, then wanted values by condition key. */
export type Conditions = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

type Match = (value: string, wanted: string) => boolean;

interface Operator {
  readonly match: Match;
  readonly isNegated: boolean;
}

const equal: Match = (value, wanted) => value === wanted;
const equalIgnoringCase: Match = (value, wanted) => value.toLowerCase() === wanted.toLowerCase();

const operators: ReadonlyMap<string, Operator> = new Map([
  ['stringequals', { match: equal, isNegated: false }],
  ['stringnotequals', { match: equal, isNegated: true }],
  ['stringequalsignorecase', { match: equalIgnoringCase, isNegated: false }],
  ['stringnotequalsignorecase', { match: equalIgnoringCase, isNegated: true }],
  ['stringlike', { match: like, isNegated: false }],
  ['stringnotlike', { match: like, isNegated: true }],
  ['arnequals', { match: like, isNegated: false }],
  ['arnlike', { match: like, isNegated: false }],
  ['bool', { match: equalIgnoringCase, isNegated: false }],
]);

const IF_EXISTS = 'ifexists';
const NULL = 'null';
const sets = ['foranyvalue:', 'forallvalues:'] as const;

/** True iff this operator can be evaluated. */
export function isOperator(name: string): boolean {
  const { bare } = partsOf(name);
  return bare === NULL || operators.has(bare);
}

/** All operators, and all keys of each, must match. */
export function conditionsMatch(conditions: Conditions, context: RequestContext): boolean {
  return [...conditions].every(([name, keys]) =>
    [...keys].every(([key, wanted]) => matches(name, wanted, context.get(key.toLowerCase()))),
  );
}

function matches(name: string, wanted: readonly string[], values: readonly string[] | undefined): boolean {
  const { set, bare, ifExists } = partsOf(name);
  if (bare === NULL) return wanted.some((one) => one.toLowerCase() === String(values === undefined));
  const operator = operators.get(bare);
  if (operator === undefined) return false;
  const { match, isNegated } = operator;
  if (values === undefined) return ifExists || (set === undefined ? isNegated : set === 'forallvalues:');
  const isGood = (value: string): boolean => wanted.some((one) => match(value, one)) !== isNegated;
  return set === 'foranyvalue:' ? values.some(isGood) : values.every(isGood);
}

function partsOf(name: string): {
  readonly set: (typeof sets)[number] | undefined;
  readonly bare: string;
  readonly ifExists: boolean;
} {
  const lower = name.toLowerCase();
  const set = sets.find((prefix) => lower.startsWith(prefix));
  const rest = lower.slice(set?.length ?? 0);
  const ifExists = rest.endsWith(IF_EXISTS);
  return { set, bare: ifExists ? rest.slice(0, -IF_EXISTS.length) : rest, ifExists };
}

/** Wildcards * and ?, cases as they are. */
export function like(value: string, pattern: string): boolean {
  if (!/[*?]/.test(pattern)) return value === pattern;
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(value);
}
