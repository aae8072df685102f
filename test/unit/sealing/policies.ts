import { type KeyPolicyTerms, keyPolicy, type PolicyRegisters } from '../../../shared/sealing/kms-policy.ts';

export const ACCOUNT = '111122223333';
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/kms-node`;
export const OPERATOR = `arn:aws:iam::${ACCOUNT}:role/kms-operator`;
export const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
export const KEY = `arn:aws:kms:eu-central-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;

export const registers: PolicyRegisters = {
  pcr0: new Uint8Array(48).fill(0xa0),
  pcr3: new Uint8Array(48).fill(0xa3),
  pcr8: new Uint8Array(48).fill(0xa8),
  pcr16: new Uint8Array(48).fill(0xb6),
};
export const expectation = { role: ROLE, registers };

/** A statement, open to every change. */
export interface Statement {
  [element: string]: unknown;
}

export interface Document {
  [element: string]: unknown;
  Statement: Statement[];
}

/** A copy of the canonical policy that tests may change. */
export function canonical(terms: Partial<KeyPolicyTerms> = {}): Document {
  const { Statement, ...others } = keyPolicy(ACCOUNT, { ...expectation, operators: [OPERATOR], ...terms });
  return { ...others, Statement: Statement.map((one) => structuredClone({ ...one })) };
}

export function statement(document: Document, sid: string): Statement {
  const found = document.Statement.find(({ Sid }) => Sid === sid);
  if (found === undefined) throw new Error(`no statement ${sid}`);
  return found;
}
