import type { Digest, PartyId } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import type { RobustDecoder } from '../../math/robust-decoder.ts';
import { bytesOf } from '../../wire/bytes.ts';
import type { Membership } from '../machine.ts';
import { digestBytes, digestOf, isSigned, signStatement } from '../statement.ts';

/** What is opened: shares are signed for exactly one scope and name. */
export interface OpeningScope {
  /** Session of a key generation, or digest of a decryption. */
  readonly scope: Digest;
  readonly name: string;
}

/** Signature of a party on its share of an opened value. */
export function signShare(by: Membership, { scope, name }: OpeningScope, share: Residues): Uint8Array {
  const digest = digestOf(by.primitives, bytesOf(share));
  return signStatement(
    by,
    'opening/share',
    by.networkId,
    by.epoch,
    scope,
    name,
    by.self,
    digestBytes(digest),
  );
}

export function isSignedShare(
  among: Membership,
  { scope, name }: OpeningScope,
  party: PartyId,
  share: Residues,
  signature: Uint8Array,
): boolean {
  const digest = digestOf(among.primitives, bytesOf(share));
  const fields = [among.networkId, among.epoch, scope, name, party, digestBytes(digest)];
  return isSigned(among, party, signature, 'opening/share', ...fields);
}

/**
 * Robust opening of one shared value, all-to-all (protocols.md section 3): accepts the degree-t polynomials that agree
 * with 2t+1 received shares everywhere, and waits for more shares otherwise. Every party decodes for itself; there is
 * no leader. One share per party counts, the first with a valid signature; a party is a culprit only for a signed
 * share that is off the accepted polynomials, never for lateness.
 */
export class Opening {
  readonly #membership: Membership;
  readonly #scope: OpeningScope;
  readonly #ring: Ring;
  readonly #decoder: RobustDecoder;
  readonly #length: number;
  readonly #shares = new Map<PartyId, Residues>();
  readonly #malformed = new Set<PartyId>();
  readonly #culprits = new Set<PartyId>();
  #value: Residues | undefined;

  /** @param length residues of a share: k*N for a ring element, k for one coefficient */
  constructor(
    membership: Membership,
    scope: OpeningScope,
    ring: Ring,
    decoder: RobustDecoder,
    length: number = ring.length,
  ) {
    this.#membership = membership;
    this.#scope = scope;
    this.#ring = ring;
    this.#decoder = decoder;
    this.#length = length;
  }

  /** The opened value, once 2t+1 shares agree. */
  get value(): Residues | undefined {
    return this.#value;
  }

  /** Parties whose signed share is wrong; shares that arrive after the value are still judged. */
  get culprits(): readonly PartyId[] {
    return this.#value === undefined ? [] : [...this.#culprits, ...this.#malformed].sort((a, b) => a - b);
  }

  /** Parties whose share has arrived. */
  get heard(): readonly PartyId[] {
    return [...this.#shares.keys(), ...this.#malformed].sort((a, b) => a - b);
  }

  hasHeard(party: PartyId): boolean {
    return this.#shares.has(party) || this.#malformed.has(party) || this.#culprits.has(party);
  }

  /** This party's own share: signed, counted, and returned as a signature to send with it. */
  contribute(share: Residues): Uint8Array {
    const signature = signShare(this.#membership, this.#scope, share);
    this.#count(this.#membership.self, share);
    return signature;
  }

  /** A share from a peer. Unsigned and repeated shares change nothing. */
  receive(from: PartyId, share: Residues, signature: Uint8Array): void {
    if (this.hasHeard(from)) return;
    if (!isSignedShare(this.#membership, this.#scope, from, share, signature)) return;
    this.#count(from, share);
  }

  #count(party: PartyId, share: Residues): void {
    if (share.length !== this.#length || !isReducedShare(this.#ring, share)) this.#malformed.add(party);
    else this.#shares.set(party, share);
    if (this.#shares.size < this.#membership.committee.decodingQuorum) return;
    const opened = this.#decoder.tryDecode(this.#shares);
    if (opened === undefined) return;
    this.#value ??= opened.value;
    for (const wrong of opened.wrong) {
      this.#culprits.add(wrong);
      this.#shares.delete(wrong);
    }
  }
}

/** Every residue below its prime; shares are k * count words, prime-major. Public data. */
export function isReducedShare(ring: Ring, share: Residues): boolean {
  if (share.length === ring.length) return ring.isReduced(share);
  const count = share.length / ring.primes.length;
  return ring.primes.every((prime, j) =>
    share.subarray(j * count, (j + 1) * count).every((word) => word < prime),
  );
}
