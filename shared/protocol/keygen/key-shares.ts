import type { Digest } from '../../ids.ts';
import type { Residues, Ring } from '../../math/ring.ts';
import type { Hashes } from '../../primitives.ts';
import { bytesOf } from '../../wire/bytes.ts';
import type { GenerationOperands } from '../prss/labels.ts';
import type { PrssShares } from '../prss/shares.ts';
import { digestOf } from '../statement.ts';
import { type FirstRoundElement, type PublicElementOperands, publicElement } from './elements.ts';

/** Opened first-round values of one relinearisation digit. */
export interface RelinRoundOne {
  readonly h0: Residues;
  readonly h1: Residues;
}

/** Public inputs of one key generation. */
export interface GenerationTerms extends GenerationOperands {
  /** All data primes and, last, the special prime. */
  readonly ring: Ring;
}

/** The public elements a of one key generation. */
export class PublicElements {
  readonly #hashes: Hashes;
  readonly #ring: Ring;
  readonly #common: Pick<
    PublicElementOperands,
    'transcript' | 'key' | 'epoch' | 'preset' | 'source' | 'target'
  >;

  constructor(
    hashes: Hashes,
    { ring, transcript, preset }: GenerationTerms,
    { key, epoch }: Pick<PublicElementOperands, 'key' | 'epoch'>,
  ) {
    this.#hashes = hashes;
    this.#ring = ring;
    this.#common = { transcript, preset, key, epoch, source: key, target: key };
  }

  publicKey(): Residues {
    return this.#of('public-key', 0, 1);
  }

  relinearisation(digit: number): Residues {
    return this.#of('relinearisation', digit, 1);
  }

  galois(element: number, digit: number): Residues {
    return this.#of('galois', digit, element);
  }

  #of(result: PublicElementOperands['result'], digit: number, element: number): Residues {
    return publicElement(this.#hashes, this.#ring, { ...this.#common, result, digit, element });
  }
}

/**
 * One party's shares of every value that a key generation opens (protocols.md section 4). All in NTT form over the
 * data primes and the special prime. Holds shares of s and u: secret.
 */
export class KeyShares {
  readonly #prss: PrssShares;
  readonly #terms: GenerationTerms;
  readonly #a: PublicElements;
  readonly #s: Residues;

  constructor(prss: PrssShares, terms: GenerationTerms) {
    this.#prss = prss;
    this.#terms = terms;
    this.#a = new PublicElements(prss.primitives, terms, prss.owner);
    this.#s = prss.smallNtt(terms.ring, { role: 's', ...this.#operands });
  }

  /** Share of a first-round element. */
  firstRound(element: FirstRoundElement): Residues {
    switch (element.kind) {
      case 'public-key':
        return this.#publicKey();
      case 'relin-h0':
        return this.#h0(element.digit);
      case 'relin-h1':
        return this.#h1(element.digit);
      case 'galois':
        return this.#galois(element.element, element.digit);
    }
  }

  /** Share of b = h0*s + h1*(u - s) + e2; linear, since h0 and h1 are public by now. */
  relinearisationB(digit: number, { h0, h1 }: RelinRoundOne): Residues {
    const { ring } = this.#terms;
    const digests = { h0: this.#digest(h0), h1: this.#digest(h1) };
    const b = this.#prss.smallNtt(ring, { role: 'e2', ...this.#operands, digit, ...digests });
    const u = this.#u(digit);
    const difference = ring.sub(u, this.#s);
    ring.mulAcc(b, h0, this.#s);
    ring.mulAcc(b, h1, difference);
    u.fill(0n);
    difference.fill(0n);
    return b;
  }

  [Symbol.dispose](): void {
    this.#s.fill(0n);
  }

  get #operands(): GenerationOperands {
    return { transcript: this.#terms.transcript, preset: this.#terms.preset };
  }

  #digest(value: Residues): Digest {
    return digestOf(this.#prss.primitives, bytesOf(value));
  }

  #u(digit: number): Residues {
    return this.#prss.smallNtt(this.#terms.ring, { role: 'u', ...this.#operands, digit });
  }

  /** w_j * x: P at RNS component j, 0 elsewhere. */
  #gadget(x: Residues, digit: number): Residues {
    const { ring } = this.#terms;
    const special = ring.primes.at(-1) ?? 0n;
    return ring.scale(
      x,
      ring.primes.map((_, component) => (component === digit ? special : 0n)),
    );
  }

  /** b = -(a*s + e). */
  #publicKey(): Residues {
    const { ring } = this.#terms;
    const sum = this.#prss.smallNtt(ring, { role: 'e', ...this.#operands });
    ring.mulAcc(sum, this.#a.publicKey(), this.#s);
    return ring.neg(sum);
  }

  /** h0 = -u*a + w_j*s + e0. */
  #h0(digit: number): Residues {
    const { ring } = this.#terms;
    const u = this.#u(digit);
    const masked = ring.mul(u, this.#a.relinearisation(digit));
    const error = this.#prss.smallNtt(ring, { role: 'e0', ...this.#operands, digit });
    const share = ring.sub(ring.add(error, this.#gadget(this.#s, digit)), masked);
    for (const secret of [u, masked, error]) secret.fill(0n);
    return share;
  }

  /** h1 = a*s + e1. */
  #h1(digit: number): Residues {
    const { ring } = this.#terms;
    const share = this.#prss.smallNtt(ring, { role: 'e1', ...this.#operands, digit });
    ring.mulAcc(share, this.#a.relinearisation(digit), this.#s);
    return share;
  }

  /** b = -(a*s + e) + w_j*sigma_g(s): the automorphism acts on shares locally. */
  #galois(element: number, digit: number): Residues {
    const { ring } = this.#terms;
    const { key } = this.#prss.owner;
    const mask = { role: 'galois-e', ...this.#operands, digit, element, source: key, target: key } as const;
    const sum = this.#prss.smallNtt(ring, mask);
    ring.mulAcc(sum, this.#a.galois(element, digit), this.#s);
    const rotated = ring.automorphism(this.#s, element);
    const share = ring.sub(this.#gadget(rotated, digit), sum);
    rotated.fill(0n);
    sum.fill(0n);
    return share;
  }
}
