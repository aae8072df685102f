import type { Committee } from '../committee.ts';
import { KmsError } from '../errors.ts';
import type { PartyId } from '../ids.ts';
import type { Rng } from '../primitives.ts';
import type { Residues, Ring } from './ring.ts';

export interface Opened {
  /** Value of the polynomials at `at`, same layout as a share. */
  readonly value: Residues;
  /** At least 2t+1 parties whose shares lie on the polynomials everywhere; ascending. */
  readonly agreeing: readonly PartyId[];
  /** Parties whose share differs somewhere (or is not k*count reduced residues); ascending. */
  readonly wrong: readonly PartyId[];
}

/** Online error correction of Shamir shares of vectors over the primes of a ring (protocols.md section 3). */
export class RobustDecoder {
  /** @param rng local secret randomness for the check's weights */
  constructor(_ring: Ring, _committee: Committee, _rng: Rng) {}

  /**
   * The degree-t polynomials that at least 2t+1 of the shares agree with in every coefficient of every prime, or
   * undefined: wait for more shares. Shares are k*count residues, prime-major, any count >= 1 (scalars: count 1).
   */
  tryDecode(_shares: ReadonlyMap<PartyId, Residues>, _at = 0): Opened | undefined {
    throw new KmsError('INTERNAL', 'arithmetic not linked yet');
  }
}
