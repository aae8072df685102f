import { KmsError } from '../errors.ts';
import { PCR_BYTES } from '../network/measurement.ts';
import { toHex } from '../wire/bytes.ts';

/**
 * The one key policy under which a node seals. What it must achieve, and how:
 * - Only an enclave with these registers decrypts or makes data keys. The Allow states every register; a Deny for each
 *   register that differs and for each that is absent holds against grants and against Allows that a later reader of the
 *   policy language might find.
 * - Nothing else can ever be done with the key: what is not in `permittedActions` is denied to everybody, the account's root
 *   included. So there are no grants, no Encrypt with which somebody could plant a data key he knows, no re-encryption, and
 *   nobody can change the policy: a new image needs a new key.
 * - There is no statement for the account's root, so IAM policies of the account count for nothing.
 * - Operators may disable and delete the key. That costs availability, which a parent can take anyway.
 */
export interface KeyPolicyTerms {
  /** ARN of the role, in the key's account, whose credentials the parent lends to the enclave. They authorise, no more. */
  readonly role: string;
  readonly registers: PolicyRegisters;
  /** ARNs of roles or users of the key's account that may disable and delete the key; may be empty. */
  readonly operators: readonly string[];
}

/** Registers of the one image, 48 bytes each, never all zero. */
export interface PolicyRegisters {
  readonly pcr0: Uint8Array;
  /** Hash of the parent instance's role; stated whenever the enclave's own register is not zero. */
  readonly pcr3?: Uint8Array;
  /** Hash of the certificate that signed the image; stated whenever the enclave's own register is not zero. */
  readonly pcr8?: Uint8Array;
  /** Binds the network. */
  readonly pcr16: Uint8Array;
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: { readonly AWS: string | readonly string[] };
  readonly Action?: readonly string[];
  readonly NotAction?: readonly string[];
  readonly Resource: '*';
  readonly Condition?: { readonly [operator: string]: { readonly [key: string]: string } };
}

export interface KeyPolicy {
  readonly Version: '2012-10-17';
  readonly Id: string;
  readonly Statement: readonly PolicyStatement[];
}

export const POLICY_ID = 'threshold-kms-sealing-1';

/** What enclaves need of the data plane. */
export const attestedActions: readonly string[] = ['kms:Decrypt', 'kms:GenerateDataKey'];

/** What an enclave reads before it trusts the key. */
export const inspectionActions: readonly string[] = ['kms:DescribeKey', 'kms:GetKeyPolicy', 'kms:ListGrants'];

/** What operators may be given: availability, and a look. */
export const operatorActions: readonly string[] = [
  'kms:CancelKeyDeletion',
  'kms:DescribeKey',
  'kms:DisableKey',
  'kms:EnableKey',
  'kms:GetKeyPolicy',
  'kms:ListGrants',
  'kms:ScheduleKeyDeletion',
];

/** Everything else is denied to everybody. */
export const permittedActions: readonly string[] = [
  ...new Set([...attestedActions, ...inspectionActions, ...operatorActions]),
].sort();

export const OPERATORS_SID = 'Operators';

const EVERYBODY = { AWS: '*' };

/** AWS's condition keys by register; PCR0 is the image's. */
const conditionKeys: Readonly<Record<keyof PolicyRegisters, string>> = {
  pcr0: 'kms:RecipientAttestation:ImageSha384',
  pcr3: 'kms:RecipientAttestation:PCR3',
  pcr8: 'kms:RecipientAttestation:PCR8',
  pcr16: 'kms:RecipientAttestation:PCR16',
};
const registerNames = ['pcr0', 'pcr3', 'pcr8', 'pcr16'] as const;

/**
 * The policy for a key of this account.
 * @throws {KmsError} BAD_INPUT for a register of zeros, which debug mode shows, or a principal of another account
 */
export function keyPolicy(account: string, terms: KeyPolicyTerms): KeyPolicy {
  const { role, registers, operators } = terms;
  if (!isRole(role, account)) throw badTerms(`the role is an ARN arn:aws:iam::${account}:role/<name>`);
  for (const operator of operators) {
    if (!isOperator(operator, account))
      throw badTerms('operators are roles or users of the account of the key');
  }
  const conditions = conditionsOf(registers);
  const others: readonly PolicyStatement[] = [
    {
      ...{ Sid: 'AttestedUse', Effect: 'Allow', Principal: { AWS: role }, Action: attestedActions },
      ...{ Resource: '*', Condition: { StringEqualsIgnoreCase: Object.fromEntries(conditions) } },
    },
    {
      ...{ Sid: 'Inspection', Effect: 'Allow', Principal: { AWS: role }, Action: inspectionActions },
      Resource: '*',
    },
    {
      ...{ Sid: 'NothingElse', Effect: 'Deny', Principal: EVERYBODY, NotAction: permittedActions },
      Resource: '*',
    },
    ...conditions.flatMap(([key, value]) => denials(key, value)),
  ];
  const ofOperators: readonly PolicyStatement[] =
    operators.length === 0
      ? []
      : [
          {
            ...{ Sid: OPERATORS_SID, Effect: 'Allow', Principal: { AWS: [...operators] } },
            ...{ Action: operatorActions, Resource: '*' },
          },
        ];
  return { Version: '2012-10-17', Id: POLICY_ID, Statement: [...others, ...ofOperators] };
}

/** Negated operators match an absent key too; the second statement says so in words that need no such rule. */
function denials(key: string, value: string): readonly PolicyStatement[] {
  const register = key.slice(key.lastIndexOf(':') + 1);
  const common = { Effect: 'Deny', Principal: EVERYBODY, Action: attestedActions, Resource: '*' } as const;
  return [
    { Sid: `Other${register}`, ...common, Condition: { StringNotEqualsIgnoreCase: { [key]: value } } },
    { Sid: `Without${register}`, ...common, Condition: { Null: { [key]: 'true' } } },
  ];
}

function conditionsOf(registers: PolicyRegisters): readonly (readonly [string, string])[] {
  return registerNames.flatMap((name) => {
    const value = registers[name];
    if (value === undefined) return [];
    if (value.length !== PCR_BYTES) throw badTerms(`${name} has ${PCR_BYTES} bytes`);
    if (value.every((byte) => byte === 0))
      throw badTerms(`${name} is all zero: that is no register of an image`);
    return [[conditionKeys[name], toHex(value)] as const];
  });
}

/**
 * The registers that the policy of an enclave's key states: its own, those of PCR3 and PCR8 that are not zero.
 * @param pcrs by index, of a document that was verified or of the enclave's own security module
 * @throws {KmsError} BAD_INPUT if PCR0 or PCR16 is missing
 */
export function policyRegistersOf(pcrs: ReadonlyMap<number, Uint8Array>): PolicyRegisters {
  const present = (index: number): Uint8Array | undefined => {
    const register = pcrs.get(index);
    return register?.some((byte) => byte !== 0) ? register : undefined;
  };
  const [pcr0, pcr3, pcr8, pcr16] = [0, 3, 8, 16].map(present);
  if (pcr0 === undefined || pcr16 === undefined) {
    throw badTerms('an image in debug mode, or one that is bound to no network, has no key');
  }
  return { pcr0, pcr16, ...(pcr3 === undefined ? {} : { pcr3 }), ...(pcr8 === undefined ? {} : { pcr8 }) };
}

/** IAM names and paths; no wildcard. */
const NAME = String.raw`(?:[\w+=,.@-]{1,64}\/){0,8}[\w+=,.@-]{1,64}`;

/** True for one role of the account. */
export function isRole(arn: string, account: string): boolean {
  return new RegExp(`^arn:aws:iam::${account}:role/${NAME}$`).test(arn);
}

/** True for one role or user of the account; never for its root or a wildcard. */
export function isOperator(arn: string, account: string): boolean {
  return new RegExp(`^arn:aws:iam::${account}:(?:role|user)/${NAME}$`).test(arn);
}

function badTerms(what: string): KmsError {
  return new KmsError('BAD_INPUT', `key policy: ${what}`);
}
