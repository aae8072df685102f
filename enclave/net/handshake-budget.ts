import type { PartyId } from '../../shared/ids.ts';
import { Bucket } from './bucket.ts';

/** Costs are in milliseconds of one core, somewhat above what test/bench/ratls.ts measures. */
export interface HandshakeCosts {
  /** A TLS handshake, by whomever. */
  readonly tlsMs: number;
  /** What follows when the other side shows a certificate: parsing, a signature, a document and perhaps its chain. */
  readonly evidenceMs: number;
  /** On top when it comes to nothing, so that failing is dearer than succeeding. */
  readonly failureMs: number;
}

export interface HandshakeLimits {
  readonly costs: HandshakeCosts;
  /** What all handshakes together may use of one core for as long as it takes. */
  readonly share: number;
  /** What they may use at once after a quiet time. */
  readonly burstMs: number;
  /** The same for the handshakes of one member. */
  readonly memberShare: number;
  readonly memberBurstMs: number;
}

/** Of whoever comes in. */
export const HANDSHAKE_LIMITS: HandshakeLimits = {
  costs: { tlsMs: 3, evidenceMs: 6, failureMs: 12 },
  // With what members' hosts get on top and what dialling may use (dial-budget.ts) below a twentieth.
  share: 0.026,
  burstMs: 700,
  memberShare: 0.01,
  memberBurstMs: 200,
};

/** On top, of those who come from members' hosts: what strangers use up is not theirs. */
export const MEMBERS_HANDSHAKE_LIMITS: HandshakeLimits = { ...HANDSHAKE_LIMITS, share: 0.01, burstMs: 300 };

/**
 * How much of a core incoming handshakes of one service may use: streams come from the parent without an address, so there is
 * one budget for all of them, and within it one for each member, drawn on only once the member's own key has signed. What is over budget
 * is refused before anything is computed; long-lived streams are not touched.
 */
export class HandshakeBudget {
  readonly #limits: HandshakeLimits;
  readonly #monotonicMs: () => number;
  readonly #all: Bucket;
  readonly #members = new Map<PartyId, Bucket>();

  constructor(
    limits: HandshakeLimits = HANDSHAKE_LIMITS,
    monotonicMs: () => number = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#monotonicMs = monotonicMs;
    this.#all = new Bucket(limits.burstMs, limits.share, monotonicMs());
  }

  /** Asked before TLS begins. */
  allowsTls(): boolean {
    return this.#take([this.#all], this.#limits.costs.tlsMs);
  }

  /** Asked before a certificate is parsed. */
  allowsCertificate(): boolean {
    return this.#take([this.#all], this.#limits.costs.evidenceMs);
  }

  /** Asked before the document of a member is verified, which the certificate's cost has paid for already. */
  allowsDocumentOf(party: PartyId): boolean {
    const { tlsMs, evidenceMs } = this.#limits.costs;
    return this.#take([this.#memberBucket(party)], tlsMs + evidenceMs);
  }

  /** @param party whose key had signed by then */
  failed(party?: PartyId): void {
    const now = this.#monotonicMs();
    const { failureMs } = this.#limits.costs;
    this.#all.draw(failureMs, now);
    if (party !== undefined) this.#memberBucket(party).draw(failureMs, now);
  }

  #take(buckets: readonly Bucket[], costMs: number): boolean {
    const now = this.#monotonicMs();
    if (!buckets.every((bucket) => bucket.has(costMs, now))) return false;
    for (const bucket of buckets) bucket.draw(costMs, now);
    return true;
  }

  #memberBucket(party: PartyId): Bucket {
    const { memberBurstMs, memberShare } = this.#limits;
    const bucket = this.#members.get(party) ?? new Bucket(memberBurstMs, memberShare, this.#monotonicMs());
    this.#members.set(party, bucket);
    return bucket;
  }
}
