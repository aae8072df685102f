import { createHash } from 'node:crypto';
import { networkPcr } from '../../shared/attestation/pcr.ts';
import { KmsError } from '../../shared/errors.ts';
import { digest } from '../../shared/ids.ts';
import { PCR_BYTES } from '../../shared/network/measurement.ts';
import { type KeyPolicy, keyPolicy, type PolicyRegisters } from '../../shared/sealing/kms-policy.ts';
import { fromHex } from '../../shared/wire/bytes.ts';

/** What an operator states, as JSON: the measurements of `kms` and his own account. */
export interface PolicyRequest {
  /** 12 digits */
  readonly account: string;
  /** ARN of the role of the parent's instance. */
  readonly role: string;
  readonly operators: readonly string[];
  readonly pcr0: string;
  /** Absent: computed from the role, as Nitro does. `none` only where there is no instance: mock and lab. */
  readonly pcr3?: string;
  /** Absent for images that are not signed. */
  readonly pcr8?: string;
  readonly networkId: string;
}

const NAMES = new Set(['account', 'role', 'operators', 'pcr0', 'pcr3', 'pcr8', 'networkId']);

/** PCR3 of an enclave on an instance with this role: zeros extended by the ARN. */
export function rolePcr(role: string): Uint8Array {
  return new Uint8Array(createHash('sha384').update(new Uint8Array(PCR_BYTES)).update(role).digest());
}

/** @throws {KmsError} BAD_INPUT, BAD_ENCODING */
export async function policyFor(request: PolicyRequest): Promise<KeyPolicy> {
  const { account, role, operators, pcr0, pcr3, pcr8, networkId } = request;
  const registers: PolicyRegisters = {
    ...{ pcr0: fromHex(pcr0), pcr16: await networkPcr(digest(networkId)) },
    ...(pcr3 === 'none' ? {} : { pcr3: pcr3 === undefined ? rolePcr(role) : fromHex(pcr3) }),
    ...(pcr8 === undefined ? {} : { pcr8: fromHex(pcr8) }),
  };
  return keyPolicy(account, { role, operators, registers });
}

/** @throws {KmsError} BAD_INPUT that says what to change */
export function readPolicyRequest(text: string): PolicyRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KmsError('BAD_INPUT', 'the measurements are no JSON', { cause });
  }
  if (typeof value !== 'object' || value === null)
    throw new KmsError('BAD_INPUT', 'the measurements are no object');
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const name of fields.keys())
    if (!NAMES.has(name)) throw new KmsError('BAD_INPUT', `unknown field "${name}"`);
  const textOf = (name: string): string => {
    const found = fields.get(name);
    if (typeof found !== 'string') throw new KmsError('BAD_INPUT', `"${name}" is missing or no text`);
    return found;
  };
  const operators: unknown = fields.get('operators') ?? [];
  const list: readonly unknown[] = Array.isArray(operators) ? operators : [operators];
  const arns = list.filter((one) => typeof one === 'string');
  if (arns.length !== list.length) throw new KmsError('BAD_INPUT', '"operators" is a list of ARNs');
  return {
    ...{ account: textOf('account'), role: textOf('role'), operators: arns },
    ...{ pcr0: textOf('pcr0'), networkId: textOf('networkId') },
    ...(fields.has('pcr3') ? { pcr3: textOf('pcr3') } : {}),
    ...(fields.has('pcr8') ? { pcr8: textOf('pcr8') } : {}),
  };
}
