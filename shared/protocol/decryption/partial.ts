import type { Committee } from '../../committee.ts';
import { type Preset, primesAt } from '../../fhe/presets.ts';
import type { Digest } from '../../ids.ts';
import type { Kernel } from '../../math/kernel/kernel.ts';
import { type Residues, Ring } from '../../math/ring.ts';
import { erase } from '../prss/erasure.ts';
import type { PrssShares } from '../prss/shares.ts';
import { FloodShares } from './flood.ts';
import type { DecryptionTask } from './task.ts';

/**
 * One party's share of one key, ready to decrypt at the preset's decryption level. Secret: holds the Shamir share s_i in
 * both forms, recomputed from the sealed seeds and never stored.
 */
export class PartialDecryptor {
  readonly preset: Preset;
  /** Over the primes of the decryption level. */
  readonly ring: Ring;
  readonly #floods: FloodShares;
  readonly #s: Residues;
  readonly #sNtt: Residues;

  /** @param transcript certified transcript of the key's setup: part of the label of s */
  constructor(kernel: Kernel, of: Committee, preset: Preset, prss: PrssShares, transcript: Digest) {
    this.preset = preset;
    this.ring = new Ring(kernel, preset.degree, primesAt(preset, preset.decryptionLevel));
    this.#floods = new FloodShares(prss, of, preset, this.ring);
    this.#s = prss.small(this.ring, { role: 's', transcript, preset: preset.name });
    this.#sNtt = this.#s.slice();
    this.ring.ntt(this.#sNtt);
  }

  /** d_i = c1*s_i + E_i: k*N residues, coefficient form. */
  vector({ c1, ciphertext }: Pick<DecryptionTask, 'c1' | 'ciphertext'>): Residues {
    const share = c1.slice();
    this.ring.ntt(share);
    this.ring.mulTo(share, this.#sNtt);
    this.ring.intt(share);
    const flood = this.#floods.vector(ciphertext);
    this.ring.addTo(share, flood);
    erase(flood);
    return share;
  }

  /** Coefficient 0 of d_i, k words for each task; floods of the whole batch are drawn together. */
  scalars(tasks: readonly Pick<DecryptionTask, 'c1' | 'ciphertext'>[]): readonly Residues[] {
    const floods = this.#floods.scalars(tasks.map((task) => task.ciphertext));
    return tasks.map(({ c1 }, i) => {
      const share = this.ring.constantCoefficient(c1, this.#s);
      for (const [j, prime] of this.ring.primes.entries()) {
        share[j] = ((share[j] ?? 0n) + (floods[i]?.[j] ?? 0n)) % prime;
      }
      floods[i]?.fill(0n);
      return share;
    });
  }

  /** The share of one task of either kind. */
  partial(task: DecryptionTask): Residues {
    if (task.kind === 'vector') return this.vector(task);
    const [share] = this.scalars([task]);
    if (share === undefined) throw new RangeError('one task gives one share');
    return share;
  }

  [Symbol.dispose](): void {
    this.#s.fill(0n);
    this.#sNtt.fill(0n);
  }
}
