import type { PartyId } from '../ids.ts';
import { mod } from './modular.ts';
import { shoupPair } from './modulus.ts';
import { lagrange } from './shamir.ts';

/**
 * Entries kept before starting over: which parties answer is the network's choice, so the number must be
 * bounded.
 */
const MAX_ENTRIES = 4096;

interface Entry {
  readonly weights: readonly bigint[];
  readonly pairs: BigUint64Array;
}

/** Lagrange coefficients by (ids, at, q), computed once. Public. */
export class LagrangeCache {
  readonly #entries = new Map<string, Entry>();

  /** Shoup pairs of the coefficients, as the kernel's `combine` takes them. */
  pairs(ids: readonly PartyId[], at: number, q: bigint): BigUint64Array {
    return this.#entry(ids, at, q).pairs;
  }

  /** Value at `at` of the polynomial of degree below ids.length through the values. */
  valueAt(ids: readonly PartyId[], values: readonly bigint[], at: number, q: bigint): bigint {
    const { weights } = this.#entry(ids, at, q);
    return mod(
      weights.reduce((sum, weight, i) => sum + weight * values[i]!, 0n),
      q,
    );
  }

  #entry(ids: readonly PartyId[], at: number, q: bigint): Entry {
    const name = `${ids.join()};${at};${q}`;
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      const weights = lagrange(ids, at, q);
      entry = { weights, pairs: BigUint64Array.from(weights.flatMap((weight) => shoupPair(weight, q))) };
      if (this.#entries.size >= MAX_ENTRIES) this.#entries.clear();
      this.#entries.set(name, entry);
    }
    return entry;
  }
}
