import { PublicKeys } from '../ed25519.ts';
import { KmsError } from '../errors.ts';
import { MAX_PARTIES } from '../ids.ts';
import { toHex } from '../wire/bytes.ts';
import { type Codec, fixedBytes, list, struct, u8 } from '../wire/codec.ts';

/** Operator governance keys (Ed25519, offline, never an enclave's) and how many of them must sign. */
export interface Governance {
  /** 32 bytes each, all different, n >= 4 */
  readonly keys: readonly Uint8Array[];
  /** governanceQuorum(n) */
  readonly quorum: number;
}

export const MAX_GOVERNANCE_KEYS = MAX_PARTIES;

/** Genesis and all its configurations have mostly the same ones. */
const checked = new PublicKeys(() => true);

export const governanceCodec: Codec<Governance> = struct({
  keys: list(fixedBytes(32), MAX_GOVERNANCE_KEYS),
  quorum: u8,
});

/**
 * n - t of n keys, t = floor((n-1)/3) of which may be corrupt: 2t+1 when n = 3t+1. For any other n, 2t+1 would let two
 * quorums meet in corrupt keys only, and the network could be forked without one honest key signing twice.
 */
export function governanceQuorum(n: number): number {
  return n - Math.floor((n - 1) / 3);
}

/** @throws {KmsError} BAD_INPUT */
export function checkGovernance({ keys, quorum }: Governance): void {
  const n = keys.length;
  if (n < 4 || n > MAX_GOVERNANCE_KEYS) {
    throw new KmsError('BAD_INPUT', `a network has 4..${MAX_GOVERNANCE_KEYS} governance keys, not ${n}`);
  }
  if (quorum !== governanceQuorum(n)) {
    throw new KmsError('BAD_INPUT', `of ${n} governance keys ${governanceQuorum(n)} sign, not ${quorum}`);
  }
  if (new Set(keys.map(toHex)).size !== n) {
    throw new KmsError('BAD_INPUT', 'two governance keys are the same');
  }
  const bad = keys.findIndex((key) => checked.get(key) === undefined);
  if (bad >= 0) throw new KmsError('BAD_INPUT', `governance key ${bad + 1} is not an Ed25519 public key`);
}

export function isSameGovernance(a: Governance, b: Governance): boolean {
  return a.keys.length === b.keys.length && a.keys.every((key, i) => toHex(key) === toHex(b.keys[i]!));
}
