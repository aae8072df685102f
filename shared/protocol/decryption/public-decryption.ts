import { decodeValue, type Value } from '../../fhe/value.ts';
import type { PartyId } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import { RobustDecoder } from '../../math/robust-decoder.ts';
import type { Rng } from '../../primitives.ts';
import type { Membership } from '../machine.ts';
import { Opening, type OpeningScope } from '../opening/opening.ts';
import { tupleDigest } from '../statement.ts';
import { plaintextOf } from '../user-decryption/plaintext.ts';
import type { DecryptionTask } from './task.ts';

/** What a share of a public decryption is signed for. The same for every request for this ciphertext. */
export function decryptionScope(
  of: Pick<Membership, 'primitives' | 'networkId' | 'epoch'>,
  { key, ciphertext, kind }: Pick<DecryptionTask, 'key' | 'ciphertext' | 'kind'>,
): OpeningScope {
  const scope = tupleDigest(of.primitives, 'decryption', of.networkId, of.epoch, key, ciphertext);
  return { scope, name: `partial/${kind}` };
}

/**
 * Public threshold decryption of one ciphertext (protocols.md section 5, step 2): shares go all-to-all, every party
 * decodes for itself, adds c0 and rounds. No leader, no second round, no synchrony. Repeating it, with whatever subset,
 * repeats the same shares.
 */
export class PublicDecryption {
  readonly #task: DecryptionTask;
  readonly #ring: Ring;
  readonly #opening: Opening;
  #value: Value | undefined;

  /** @param ring over the primes of the decryption level */
  constructor(membership: Membership, task: DecryptionTask, ring: Ring, rng: Rng) {
    this.#task = task;
    this.#ring = ring;
    const decoder = new RobustDecoder(ring, membership.committee, rng);
    const length = task.kind === 'vector' ? ring.length : ring.primes.length;
    this.#opening = new Opening(membership, decryptionScope(membership, task), ring, decoder, length);
  }

  /** This party's own share. @returns its signature, to be sent with it */
  contribute(share: Residues): Uint8Array {
    return this.#opening.contribute(share);
  }

  receive(from: PartyId, share: Residues, signature: Uint8Array): void {
    this.#opening.receive(from, share, signature);
  }

  /** Parties whose signed share is provably wrong. */
  get culprits(): readonly PartyId[] {
    return this.#opening.culprits;
  }

  get heard(): readonly PartyId[] {
    return this.#opening.heard;
  }

  /** The decrypted value, once 2t+1 shares agree. */
  get value(): Value | undefined {
    const opened = this.#opening.value;
    if (this.#value === undefined && opened !== undefined) {
      const { preset, kind, c0 } = this.#task;
      const plaintext = plaintextOf(this.#ring, preset, kind, c0, opened);
      this.#value = decodeValue(this.#ring.kernel, preset, kind, plaintext);
    }
    return this.#value;
  }
}
