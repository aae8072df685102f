import type { Committee } from '../../committee.ts';
import type { Preset } from '../../fhe/presets.ts';
import type { Digest } from '../../ids.ts';
import { writeCounterBlocks } from '../../math/counter-blocks.ts';
import { WideSum } from '../../math/prss-sum.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import { erase } from '../prss/erasure.ts';
import { maskLabel } from '../prss/labels.ts';
import { BLOCK_BYTES, type Prf } from '../prss/prf.ts';
import type { PrssShares } from '../prss/shares.ts';

/** Version of the rule that switches a ciphertext down before decryption; part of every flood's label. */
export const SWITCH_VERSION = 1;

/** Coefficients lie in the stream in groups of this many (WideSum.add). */
const GROUP = 4;

/**
 * Floods of partial decryptions (protocols.md section 5): party i's share E_i of sum_A r_A, each r_A uniform in [-B, B).
 * The flood of a coefficient is a function of (key, epoch, level, coefficient) and the digest of exactly the ciphertext
 * bytes, so it is the same whoever answers, however often, publicly or for a user; a scalar's flood is the vector's at
 * coefficient 0.
 */
export class FloodShares {
  readonly #prss: PrssShares;
  readonly #committee: Committee;
  readonly #preset: Preset;
  /** Over the primes of the decryption level. */
  readonly #ring: Ring;
  readonly #limbs: number;
  /** Counter blocks of the stream being drawn; they say nothing about it without the stream key. */
  readonly #counters: Uint8Array;

  constructor(prss: PrssShares, of: Committee, preset: Preset, ring: Ring) {
    this.#prss = prss;
    this.#committee = of;
    this.#preset = preset;
    this.#ring = ring;
    this.#limbs = Math.ceil((preset.floodBits + 1) / 32);
    this.#counters = new Uint8Array((ring.degree / GROUP) * this.#limbs * BLOCK_BYTES);
  }

  /** E_i of all N coefficients: k*N residues, coefficient form. Secret. */
  vector(ciphertext: Digest): Residues {
    const label = this.#label(ciphertext);
    return this.#sum(this.#ring.degree, (prf) => prf.keystream(label, this.#counters));
  }

  /** E_i of coefficient 0 of each ciphertext: k words each. Secret. */
  scalars(ciphertexts: readonly Digest[]): readonly Residues[] {
    const labels = ciphertexts.map((ciphertext) => this.#label(ciphertext));
    const groupBytes = this.#limbs * BLOCK_BYTES;
    const counters = new Uint8Array(labels.length * groupBytes);
    const groups = labels.map((_, i) => counters.subarray(i * groupBytes, (i + 1) * groupBytes));
    const count = GROUP * labels.length;
    const shares = this.#sum(count, (prf) => {
      const bases = prf.bases(labels);
      for (const [i, group] of groups.entries()) {
        writeCounterBlocks(bases.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), group);
      }
      return prf.stream(counters);
    });
    const first = labels.map((_, i) =>
      BigUint64Array.from(this.#ring.primes, (_prime, j) => shares[j * count + GROUP * i] ?? 0n),
    );
    erase(shares);
    return first;
  }

  #label(ciphertext: Digest): Uint8Array {
    const { n, t } = this.#committee;
    const { decryptionLevel: level, floodBits } = this.#preset;
    const mask = {
      role: 'flood',
      n,
      t,
      level,
      floodBits,
      switchVersion: SWITCH_VERSION,
      ciphertext,
    } as const;
    return maskLabel(this.#prss.primitives, this.#prss.owner, mask);
  }

  /** @param streamOf the keystream of one seed, as WideSum.add wants it; erased after use */
  #sum(count: number, streamOf: (prf: Prf) => Uint8Array): Residues {
    const { floodBits } = this.#preset;
    using sum = new WideSum(this.#ring.kernel, { count, limbs: this.#limbs, bits: floodBits + 1 });
    for (const { prf, numerator } of this.#prss.weighted) {
      const stream = streamOf(prf);
      sum.add(stream, numerator);
      erase(stream);
    }
    return sum.finish(this.#ring, this.#prss.denominator, 1n << BigInt(floodBits));
  }
}
