import { nodePrimitives } from '../../../enclave/primitives.ts';
import { type Committee, committee } from '../../../shared/committee.ts';
import { type Preset, presetByName, primesAt } from '../../../shared/fhe/presets.ts';
import { type Digest, digest, epochId, keyId, type PartyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { FloodShares } from '../../../shared/protocol/decryption/flood.ts';
import type { MaskOwner } from '../../../shared/protocol/prss/labels.ts';
import { KeySeeds } from '../../../shared/protocol/prss/seeds.ts';
import { PrssShares } from '../../../shared/protocol/prss/shares.ts';
import { subsets } from '../../oracle/prss.ts';
import { stream } from '../../oracle/stream.ts';

export const kernel = await Kernel.load();
/** The test preset at a degree where bigint oracles are quick; its primes fit every smaller degree. */
export const preset: Preset = { ...presetByName('test-4096'), degree: 64 };
export const ring = new Ring(kernel, preset.degree, primesAt(preset, preset.decryptionLevel));
export const owner: MaskOwner = { key: keyId('a1'.repeat(32)), epoch: epochId(3) };
export const transcript: Digest = digest('b2'.repeat(32));
export const ciphertext: Digest = digest('c3'.repeat(32));

/** A committee with one known seed for every set, given to exactly the parties outside it. */
export class DealtSeeds {
  readonly of: Committee;
  readonly sets: readonly (readonly number[])[];

  constructor(n: number, t: number) {
    this.of = committee(n, t);
    this.sets = subsets(n, t);
  }

  seed(set: readonly number[]): Uint8Array {
    return stream(`seed of ${this.of.n} ${set}`, 32);
  }

  prss(party: PartyId, as: MaskOwner = owner): PrssShares {
    const held = this.sets.filter((set) => !set.includes(party));
    const bytes = Uint8Array.from(held.flatMap((set) => [...this.seed(set)]));
    return new PrssShares(nodePrimitives, this.of, party, as, new KeySeeds(this.of, party, bytes));
  }

  floods(party: PartyId, as: MaskOwner = owner, under: Preset = preset): FloodShares {
    const primes = primesAt(under, under.decryptionLevel);
    return new FloodShares(this.prss(party, as), this.of, under, new Ring(kernel, under.degree, primes));
  }
}
