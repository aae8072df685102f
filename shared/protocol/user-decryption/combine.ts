import type { Committee } from '../../committee.ts';
import { KmsError } from '../../errors.ts';
import type { Preset } from '../../fhe/presets.ts';
import type { PartyId } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import { RobustDecoder } from '../../math/robust-decoder.ts';
import type { Hashes, Rng, Verifier } from '../../primitives.ts';
import { plaintextOf } from './plaintext.ts';
import { openShare, type ShareScope, verifyShare } from './sealed-share.ts';
import type { UserPrivateKey } from './user-key.ts';

/** Everything a user brings to the shares of one request. */
export interface UserDecryptionInput {
  readonly scope: ShareScope;
  readonly committee: Committee;
  /** Ed25519 identity keys from the configuration. */
  readonly identities: ReadonlyMap<PartyId, Uint8Array>;
  readonly privateKey: UserPrivateKey;
  readonly primitives: Hashes & Verifier;
  /** Over the primes of the decryption level. */
  readonly ring: Ring;
  readonly preset: Preset;
  /** First component of the ciphertext, switched down to the decryption level; coefficient form, k*N residues. */
  readonly c0: Residues;
  /** Local secret randomness for the decoder's check. */
  readonly rng: Rng;
}

export interface UserResult {
  /** Secret: known to the user alone. Coefficients of the plaintext polynomial: 1 (scalar) or N (vector). */
  readonly plaintext: BigUint64Array;
  /** At least 2t+1 parties whose shares determine the plaintext; ascending. */
  readonly agreeing: readonly PartyId[];
  /** Parties that signed a share that does not open, is malformed, or is off the polynomial; ascending. */
  readonly wrong: readonly PartyId[];
}

/**
 * The user's side of a decryption (protocols.md section 5, step 2). Shares come one by one, from anywhere and in any
 * order; no share can make it fail: what is not signed for this request is ignored, what is signed and wrong is set
 * aside and its party named, and the plaintext stands as soon as 2t+1 of the others agree.
 */
export class UserDecryption {
  readonly #input: UserDecryptionInput;
  readonly #decoder: RobustDecoder;
  readonly #shareLength: number;
  readonly #shares = new Map<PartyId, Residues>();
  /** Parties whose signed share has arrived, open or not: the first one counts. */
  readonly #heard = new Set<PartyId>();
  readonly #malformed = new Set<PartyId>();
  #result: UserResult | undefined;

  /** @throws {KmsError} WRONG_LEVEL, BAD_INPUT when ring, c0, level and preset do not fit each other */
  constructor(input: UserDecryptionInput) {
    const { preset, ring, scope, c0, committee, rng } = input;
    if (scope.level !== preset.decryptionLevel || ring.primes.length !== preset.decryptionLevel) {
      throw new KmsError('WRONG_LEVEL', `${preset.name} decrypts at level ${preset.decryptionLevel}`);
    }
    if (!ring.isReduced(c0)) throw new KmsError('BAD_INPUT', 'c0 is not an element of the ring');
    this.#input = input;
    this.#decoder = new RobustDecoder(ring, committee, rng);
    this.#shareLength = scope.kind === 'scalar' ? ring.primes.length : ring.length;
  }

  /** What the shares so far determine; undefined: more are needed. */
  get result(): UserResult | undefined {
    return this.#result;
  }

  /** Parties whose validly signed share has arrived; ascending. */
  get heard(): readonly PartyId[] {
    return ascending(this.#heard);
  }

  /** Parties whose signed share is unusable, whether or not there is a result yet; ascending. */
  get malformed(): readonly PartyId[] {
    return ascending(this.#malformed);
  }

  /**
   * Takes one encoded SealedShare.
   * @returns the result, once there is one; later shares still add to `agreeing` and `wrong`
   */
  async add(encoded: Uint8Array): Promise<UserResult | undefined> {
    const { scope, identities, primitives, privateKey } = this.#input;
    try {
      const share = verifyShare(encoded, scope, identities, primitives);
      if (this.#heard.has(share.party)) return this.#result;
      this.#heard.add(share.party);
      const { party, residues } = await openShare(share, scope, privateKey, primitives);
      if (this.#isShare(residues)) this.#shares.set(party, residues);
      else this.#malformed.add(party);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      for (const culprit of error.culprits) this.#malformed.add(culprit);
    }
    this.#decode();
    return this.#result;
  }

  #isShare(residues: Residues): boolean {
    if (residues.length !== this.#shareLength) return false;
    const { ring, scope } = this.#input;
    // A scalar's share is one word per prime.
    return scope.kind === 'vector'
      ? ring.isReduced(residues)
      : ring.primes.every((prime, j) => residues[j]! < prime);
  }

  #decode(): void {
    const { ring, preset, committee, c0, scope } = this.#input;
    if (this.#shares.size < committee.decodingQuorum) return;
    const opened = this.#decoder.tryDecode(this.#shares);
    if (opened === undefined) return;
    const plaintext = this.#result?.plaintext ?? plaintextOf(ring, preset, scope.kind, c0, opened.value);
    const wrong = ascending([...opened.wrong, ...this.#malformed]);
    this.#result = { plaintext, agreeing: opened.agreeing, wrong };
  }
}

function ascending(parties: Iterable<PartyId>): PartyId[] {
  return [...new Set(parties)].sort((a, b) => a - b);
}
