import type { PartyId } from '../../shared/ids.ts';
import { values } from './stream.ts';

/** Shares of bigint vectors by evaluating random polynomials of degree t, per prime. */
export interface Sharing {
  readonly secret: BigUint64Array;
  readonly shares: Map<PartyId, BigUint64Array>;
  /** The polynomials' values anywhere. */
  at(x: number): BigUint64Array;
}

/** Deterministic sharing of count residues per prime, prime-major. */
export function share(
  name: string,
  parties: readonly PartyId[],
  t: number,
  primes: readonly bigint[],
  count: number,
): Sharing {
  const rows = primes.map((q) =>
    Array.from({ length: t + 1 }, (_, k) => values(`${name} ${q} ${k}`, count + 3, q).slice(3)),
  );
  const at = (x: number): BigUint64Array =>
    BigUint64Array.from(
      primes.flatMap((q, j) =>
        Array.from({ length: count }, (_, i) =>
          rows[j]!.reduceRight((value, coefficients) => (value * BigInt(x) + coefficients[i]!) % q, 0n),
        ),
      ),
    );
  return { secret: at(0), shares: new Map(parties.map((id) => [id, at(id)])), at };
}
