import type { Committee } from '../committee.ts';
import { KmsError } from '../errors.ts';
import { type PartyId, partyId } from '../ids.ts';
import type { Rng } from '../primitives.ts';
import { LagrangeCache } from './lagrange-cache.ts';
import type { Modulus } from './modulus.ts';
import { decodeWord } from './reed-solomon.ts';
import type { Residues, Ring } from './ring.ts';

/** Combinations checked per prime. */
const COMBINATIONS = 2;
/** Vectors up to this length are checked coefficient by coefficient: cheaper than drawing weights. */
const SHORT = 256;
/** Largest request that every platform's generator serves at once (Web Crypto's limit). */
const RNG_CHUNK_BYTES = 65_536;
/** Rows lie a cache line further apart than a power of two, or they would share cache sets. */
const PADDING = 64;

export interface Opened {
  /** Values of the polynomials at `at`, same layout as a share. */
  readonly value: Residues;
  /** At least 2t+1 parties whose shares lie on the polynomials everywhere; ascending. */
  readonly agreeing: readonly PartyId[];
  /** Parties whose share differs somewhere (or is not k*count reduced residues); ascending. */
  readonly wrong: readonly PartyId[];
}

/** Where the rows of one prime lie in kernel memory: row i belongs to ids[i]. */
interface Rows {
  readonly ids: readonly PartyId[];
  readonly count: number;
  readonly strideBytes: number;
  readonly at: number;
  /** A free row and, behind it, COMBINATIONS more. */
  readonly spare: number;
  readonly modulus: Modulus;
}

/** Found wrong in one prime, or 'undecodable': fewer than 2t+1 agree. */
type Verdict = readonly PartyId[] | 'undecodable';

/**
 * Online error correction of Shamir shares of vectors over the primes of a ring (protocols.md section 3).
 *
 * With t = 1, or short vectors, every coefficient's parity is checked: exact. Else two random combinations of
 * the coefficients per prime are, with local weights uniform in b-1 bits (b bits of the prime), drawn after
 * the shares arrived, independent per coefficient, prime and call. Shares that are not on degree-t
 * polynomials everywhere pass with probability at most 2^-2(b-1) per pass (2^-106 for 54-bit primes), and
 * there are at most t+1 passes to a call. With at most t wrong shares no honest party is ever named: its word
 * agrees with the unique decoding. Values may be secret (a user's): bigint is used on combinations, and on
 * coefficients where a liar is wrong.
 */
export class RobustDecoder {
  readonly #ring: Ring;
  readonly #committee: Committee;
  readonly #rng: Rng;
  readonly #lagrange = new LagrangeCache();

  /** @param rng local secret randomness for the check's weights */
  constructor(ring: Ring, committee: Committee, rng: Rng) {
    this.#ring = ring;
    this.#committee = committee;
    this.#rng = rng;
  }

  /**
   * The degree-t polynomials that at least 2t+1 of the shares agree with in every coefficient of every prime,
   * or undefined: wait for more shares. Up to t wrong shares among at least 2t+1 right ones never keep it
   * from a value. Shares are k*count residues, prime-major, any count >= 1 (scalars: count 1); the most
   * frequent length counts, other shares are wrong. Shares of other lengths or with unreduced residues need
   * no check before.
   * @param at x-coordinate of the value, 0 for the secret
   * @throws {KmsError} BAD_INPUT for a party outside the committee or an x-coordinate that is not 0..2^32
   */
  tryDecode(shares: ReadonlyMap<PartyId, Residues>, at = 0): Opened | undefined {
    if (!Number.isInteger(at) || at < 0 || at > 2 ** 32)
      throw new KmsError('BAD_INPUT', `no x-coordinate: ${at}`);
    const received = [...shares.keys()].map((id) => partyId(id, this.#committee.n)).sort((a, b) => a - b);
    const size = this.#size(shares);
    if (size === undefined) return undefined;
    const vectors = new Map([...shares].filter(([, share]) => share.length === size));
    const count = size / this.#ring.primes.length;
    let alive: readonly PartyId[] = received.filter((id) => vectors.has(id));
    for (let first = true; alive.length >= this.#committee.decodingQuorum; first = false) {
      const pass = this.#pass(vectors, alive, count, at, first);
      if (pass === undefined) return undefined;
      if (pass.value !== undefined) {
        return { value: pass.value, agreeing: alive, wrong: received.filter((id) => !alive.includes(id)) };
      }
      alive = pass.alive;
    }
    return undefined;
  }

  /** The length that most shares have, if it is k*count for some count >= 1. */
  #size(shares: ReadonlyMap<PartyId, Residues>): number | undefined {
    const frequency = new Map<number, number>();
    for (const { length } of shares.values()) frequency.set(length, (frequency.get(length) ?? 0) + 1);
    const [size] = [...frequency].sort(([, a], [, b]) => b - a)[0] ?? [];
    return size !== undefined && size > 0 && size % this.#ring.primes.length === 0 ? size : undefined;
  }

  /**
   * One pass over all primes: the value if every share is right, else who remains; undefined if no polynomial
   * fits.
   * @param fresh whether residues still have to be checked for being reduced
   */
  #pass(
    vectors: ReadonlyMap<PartyId, Residues>,
    ids: readonly PartyId[],
    count: number,
    at: number,
    fresh: boolean,
  ): { value?: Residues; alive: readonly PartyId[] } | undefined {
    const { kernel, moduli } = this.#ring;
    const value = new BigUint64Array(count * moduli.length);
    const strideBytes = 8 * count + PADDING;
    let alive = ids;
    const size = (ids.length + 1 + COMBINATIONS) * strideBytes;
    return kernel.scratch(size, (base) => {
      for (const [j, modulus] of moduli.entries()) {
        alive.forEach((id, i) => {
          kernel.write(base + i * strideBytes, vectors.get(id)!.subarray(j * count, (j + 1) * count));
        });
        const spare = base + ids.length * strideBytes;
        const rows: Rows = { ids: alive, count, strideBytes, at: base, spare, modulus };
        const wrong = this.#wrongIn(rows, fresh);
        if (wrong === 'undecodable') return undefined;
        alive = alive.filter((id) => !wrong.includes(id));
        if (alive.length < this.#committee.decodingQuorum) return undefined;
        if (alive.length === ids.length) {
          this.#combine(rows, at);
          value.set(kernel.words.subarray(spare / 8, spare / 8 + count), j * count);
        }
      }
      return alive.length === ids.length ? { value, alive } : { alive };
    });
  }

  #wrongIn(rows: Rows, fresh: boolean): Verdict {
    const { kernel } = this.#ring;
    if (fresh) {
      const { at, strideBytes, count, modulus } = rows;
      const unreduced = rows.ids.filter(
        (_, i) => kernel.calls.firstUnreduced(at + i * strideBytes, count, modulus.record) !== count,
      );
      if (unreduced.length > 0) return unreduced;
    }
    return this.#committee.t === 1 || rows.count <= SHORT
      ? this.#wrongAnywhere(rows)
      : this.#wrongInCombinations(rows);
  }

  /**
   * Compares every share beyond the first t+1 with what those predict; decodes the first coefficient that
   * differs.
   */
  #wrongAnywhere(rows: Rows): Verdict {
    const { kernel } = this.#ring;
    const { ids, count, strideBytes, at, spare } = rows;
    for (let i = this.#committee.t + 1; i < ids.length; i++) {
      this.#combine(rows, ids[i]!);
      const place = kernel.calls.firstDifference(spare, at + i * strideBytes, count);
      if (place === count) continue;
      return this.#decode(
        rows,
        ids.map((_, row) => kernel.words[(at + row * strideBytes) / 8 + place]!),
      );
    }
    return [];
  }

  /** Decodes random combinations of the coefficients. */
  #wrongInCombinations(rows: Rows): Verdict {
    const { kernel } = this.#ring;
    const { ids, count, strideBytes, at, spare, modulus } = rows;
    for (let combination = 1; combination <= COMBINATIONS; combination++) {
      const weights = spare + combination * strideBytes;
      for (let from = 0; from < 8 * count; from += RNG_CHUNK_BYTES) {
        kernel.bytes.set(this.#rng(Math.min(RNG_CHUNK_BYTES, 8 * count - from)), weights + from);
      }
      kernel.calls.maskTo(weights, count, modulus.record);
      const word = ids.map((_, i) => {
        kernel.calls.dot(spare, at + i * strideBytes, weights, count, modulus.record);
        return kernel.words[spare / 8]!;
      });
      const wrong = this.#decode(rows, word);
      if (wrong === 'undecodable' || wrong.length > 0) return wrong;
    }
    return [];
  }

  #decode({ ids, modulus }: Rows, word: readonly bigint[]): Verdict {
    const { t, decodingQuorum } = this.#committee;
    const base = ids.slice(0, t + 1);
    const predicted = (id: PartyId): bigint => this.#lagrange.valueAt(base, word, id, modulus.q);
    if (ids.every((id, i) => i <= t || predicted(id) === word[i])) return [];
    const maxErrors = Math.min(t, ids.length - decodingQuorum);
    return decodeWord(ids, word, t, maxErrors, modulus.q)?.wrong ?? 'undecodable';
  }

  /** Spare row = the polynomials' values at x, from the first t+1 rows. */
  #combine({ ids, count, strideBytes, at, spare, modulus }: Rows, x: number): void {
    const { kernel } = this.#ring;
    const base = ids.slice(0, this.#committee.t + 1);
    kernel.scratch(16 * base.length, (pairs) => {
      kernel.write(pairs, this.#lagrange.pairs(base, x, modulus.q));
      kernel.calls.combine(spare, at, strideBytes, pairs, base.length, count, modulus.record);
    });
  }
}
