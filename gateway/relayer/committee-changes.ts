import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { data, fixed, type Hex, quantity } from '../adapter/chain-data.ts';
import { readLimitedText } from '../adapter/durable-file.ts';
import { isRecord } from '../adapter/endpoint.ts';

/** A committee's word about the next one, for verifiers of host chains. No gateway contract takes it: nodes hand it out. */
export interface SignedCommitteeChange {
  readonly change: {
    readonly fromEpoch: bigint;
    readonly toEpoch: bigint;
    readonly t: number;
    readonly signers: readonly Hex[];
    readonly graceSeconds: bigint;
  };
  readonly signatures: Hex;
}

export interface CommitteeChanges {
  /** @returns undefined while nobody has brought it. Untrusted: verifiers check its signatures. */
  find(fromEpoch: bigint): Promise<SignedCommitteeChange | undefined>;
}

const MAX_FILE_BYTES = 32 << 10;
const MAX_SIGNERS = 64;

/** Files `committee-change-<from epoch>.json` in a directory, or none. */
export function committeeChangeFiles(directory: string | undefined): CommitteeChanges {
  return {
    async find(fromEpoch) {
      if (directory === undefined) return undefined;
      const text = await readLimitedText(
        join(directory, `committee-change-${fromEpoch}.json`),
        MAX_FILE_BYTES,
      );
      if (text === undefined) return undefined;
      const signed = parseCommitteeChange(text);
      return signed.change.fromEpoch === fromEpoch ? signed : undefined;
    },
  };
}

/**
 * `{"fromEpoch": "0x0", "toEpoch": "0x1", "t": "0x1", "signers": ["0x..."], "graceSeconds": "0x258", "signatures": "0x..."}`
 * @throws {KmsError} BAD_ENCODING
 */
export function parseCommitteeChange(text: string): SignedCommitteeChange {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'a committee change is a JSON object', { cause });
  }
  if (!isRecord(value) || Object.keys(value).length !== 6) {
    throw new KmsError('BAD_ENCODING', 'a committee change has six fields');
  }
  const { signers } = value;
  if (!Array.isArray(signers) || signers.length > MAX_SIGNERS) {
    throw new KmsError('BAD_ENCODING', 'a committee change has a list of at most 64 signers');
  }
  return {
    change: {
      fromEpoch: quantity(value.fromEpoch, 64),
      toEpoch: quantity(value.toEpoch, 64),
      t: Number(quantity(value.t, 8)),
      signers: signers.map((signer) => fixed(signer, 20)),
      graceSeconds: quantity(value.graceSeconds, 64),
    },
    signatures: data(value.signatures, 65 * MAX_SIGNERS),
  };
}
