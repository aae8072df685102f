import type { Digest, PartyId } from '../../ids.ts';
import { decode, encode } from '../../wire/codec.ts';
import type { Membership } from '../machine.ts';
import { digestOf, isSigned, NO_DIGEST, signStatement, tupleDigest } from '../statement.ts';
import {
  type BroadcastMessage,
  broadcastMessage,
  type PartySignature,
  type Relay,
  type ViewCertificate,
} from './messages.ts';

export interface BroadcastTerms {
  readonly session: Digest;
  /** Name of the step; signatures bind it. */
  readonly step: string;
  /** Who sends and who listens: the session's list, at least n - t parties. */
  readonly participants: readonly PartyId[];
  /** Round r ends at startMs + r * roundMs. */
  readonly startMs: number;
  readonly roundMs: number;
  /** Longer values are no values. */
  readonly maxValueBytes: number;
}

/** What every honest participant ends with: a value per participant, undefined where the sender failed. */
export type BroadcastOutcome = ReadonlyMap<PartyId, Uint8Array | undefined>;

interface Extracted {
  readonly value: Uint8Array;
  readonly digest: Digest;
  readonly signatures: readonly PartySignature[];
}

/**
 * Authenticated broadcast: one Dolev–Strong instance per participant, run side by side, with an early end by
 * certificate (protocols.md section 2; Dolev and Strong, SIAM J. Comput. 12(4), 1983).
 *
 * A party signs its view once: as soon as it holds one value of every participant, at the latest at the end of round 1.
 * The views of all participants on the same outcome make a certificate, which counts in round r only with r - 2
 * signatures of distinct relays. Whoever accepts one signs it, forwards it and stops; all others decide at the end of
 * round t + 3. Agreement: a certificate accepted by an honest party in round r <= t + 2 reaches every other in round
 * r + 1 with r - 1 relays; one accepted in round t + 3 has passed an honest relay before. Both rules are needed: ending
 * on equal views alone, or on a bare certificate late, splits honest parties for t >= 2.
 *
 * Values relayed in round 1 wait for its end, so that an undisturbed broadcast sends every value once.
 */
export class Broadcast {
  readonly #membership: Membership;
  readonly #terms: BroadcastTerms;
  readonly #extracted = new Map<PartyId, Extracted[]>();
  readonly #views = new Map<Digest, Map<PartyId, Uint8Array>>();
  readonly #hasVoted = new Set<PartyId>();
  #signedView: { digest: Digest; outcome: BroadcastOutcome } | undefined;
  #relayedFirstRound = false;
  #outcome: BroadcastOutcome | undefined;

  constructor(membership: Membership, terms: BroadcastTerms) {
    this.#membership = membership;
    this.#terms = terms;
    for (const sender of terms.participants) this.#extracted.set(sender, []);
  }

  get outcome(): BroadcastOutcome | undefined {
    return this.#outcome;
  }

  /** End of the last round: an outcome exists once tick was called at or after this time. */
  get endMs(): number {
    return this.#roundEndMs(this.#lastRound);
  }

  get nextWakeMs(): number | undefined {
    if (this.#outcome !== undefined) return undefined;
    return this.#signedView !== undefined && this.#relayedFirstRound ? this.endMs : this.#roundEndMs(1);
  }

  /** This party's own value. @returns messages to send to all participants */
  propose(value: Uint8Array, nowMs: number): Uint8Array[] {
    const self = this.#membership.self;
    if (value.length > this.#terms.maxValueBytes) throw new RangeError('broadcast value too large');
    const digest = digestOf(this.#membership.primitives, value);
    const own = { party: self, signature: this.#signValue(self, digest) };
    this.#extracted.get(self)?.push({ value, digest, signatures: [own] });
    const relay: BroadcastMessage = { kind: 'relay', sender: self, value, signatures: [own] };
    return [encode(broadcastMessage, relay), ...this.#advance(nowMs)];
  }

  /** @throws {KmsError} BAD_ENCODING; messages that are merely invalid are ignored */
  receive(from: PartyId, message: Uint8Array, nowMs: number): Uint8Array[] {
    const decoded = decode(broadcastMessage, message);
    if (this.#outcome !== undefined || !this.#terms.participants.includes(from)) return [];
    const replies: Uint8Array[] = [];
    if (decoded.kind === 'relay') replies.push(...this.#onRelay(decoded, nowMs));
    else if (decoded.kind === 'view') this.#onView(from, decoded.view, decoded.signature);
    else replies.push(...this.#onCertificate(decoded, nowMs));
    return [...replies, ...this.#advance(nowMs)];
  }

  tick(nowMs: number): Uint8Array[] {
    return this.#outcome === undefined ? this.#advance(nowMs) : [];
  }

  get #lastRound(): number {
    return this.#membership.committee.t + 3;
  }

  #roundEndMs(round: number): number {
    return this.#terms.startMs + round * this.#terms.roundMs;
  }

  /** Rounds count from 1; what comes before the start belongs to round 1. */
  #round(nowMs: number): number {
    return Math.max(1, Math.floor((nowMs - this.#terms.startMs) / this.#terms.roundMs) + 1);
  }

  #signValue(sender: PartyId, value: Digest): Uint8Array {
    const { session, step } = this.#terms;
    return signStatement(this.#membership, 'broadcast/value', session, step, sender, value);
  }

  #areSigned(signatures: readonly PartySignature[], domain: string, ...fields: (string | number)[]): boolean {
    const { session, step, participants } = this.#terms;
    return (
      new Set(signatures.map((one) => one.party)).size === signatures.length &&
      signatures.every(
        (one) =>
          participants.includes(one.party) &&
          isSigned(this.#membership, one.party, one.signature, domain, session, step, ...fields),
      )
    );
  }

  #onRelay(relay: Relay, nowMs: number): Uint8Array[] {
    const { t } = this.#membership.committee;
    const round = this.#round(nowMs);
    const known = this.#extracted.get(relay.sender);
    // Two values already prove that the sender failed; more add nothing.
    if (known === undefined || known.length >= 2 || round > t + 1 || relay.signatures.length < round)
      return [];
    if (relay.value.length > this.#terms.maxValueBytes) return [];
    if (!relay.signatures.some((one) => one.party === relay.sender)) return [];
    const digest = digestOf(this.#membership.primitives, relay.value);
    if (known.some((one) => one.digest === digest)) return [];
    if (!this.#areSigned(relay.signatures, 'broadcast/value', relay.sender, digest)) return [];
    const extracted = { value: relay.value, digest, signatures: relay.signatures };
    known.push(extracted);
    return round === 1 ? [] : this.#relay(relay.sender, extracted);
  }

  #relay(sender: PartyId, extracted: Extracted): Uint8Array[] {
    const self = this.#membership.self;
    if (extracted.signatures.some((one) => one.party === self)) return [];
    const signatures = [
      ...extracted.signatures,
      { party: self, signature: this.#signValue(sender, extracted.digest) },
    ];
    return [encode(broadcastMessage, { kind: 'relay', sender, value: extracted.value, signatures })];
  }

  /** What this party would output now: senders with exactly one extracted value succeed. */
  #currentOutcome(): BroadcastOutcome {
    const outcome = new Map<PartyId, Uint8Array | undefined>();
    for (const [sender, values] of this.#extracted) {
      outcome.set(sender, values.length === 1 ? values[0]?.value : undefined);
    }
    return outcome;
  }

  #viewDigest(): Digest {
    const fields = this.#terms.participants.flatMap((sender) => {
      const values = this.#extracted.get(sender) ?? [];
      return [sender, values.length === 1 ? (values[0]?.digest ?? NO_DIGEST) : NO_DIGEST];
    });
    const { session, step } = this.#terms;
    return tupleDigest(this.#membership.primitives, 'broadcast/view', session, step, ...fields);
  }

  #onView(from: PartyId, view: Digest, signature: Uint8Array): void {
    if (this.#hasVoted.has(from)) return;
    if (!this.#areSigned([{ party: from, signature }], 'broadcast/signed-view', view)) return;
    this.#countView(from, view, signature);
  }

  #countView(party: PartyId, view: Digest, signature: Uint8Array): void {
    this.#hasVoted.add(party);
    const signers = this.#views.get(view) ?? new Map<PartyId, Uint8Array>();
    this.#views.set(view, signers.set(party, signature));
  }

  #onCertificate(certificate: ViewCertificate, nowMs: number): Uint8Array[] {
    // Before any signature is looked at: what cannot count must not cost anything, however often it comes.
    if (certificate.view !== this.#signedView?.digest || !this.#counts(certificate, nowMs)) return [];
    if (certificate.views.length !== this.#terms.participants.length) return [];
    if (!this.#areSigned(certificate.views, 'broadcast/signed-view', certificate.view)) return [];
    if (!this.#areSigned(certificate.relays, 'broadcast/relayed-view', certificate.view)) return [];
    return this.#accept(certificate, nowMs);
  }

  /** A certificate counts only with enough relays for the current round. */
  #counts({ relays }: Pick<ViewCertificate, 'relays'>, nowMs: number): boolean {
    const round = this.#round(nowMs);
    return round <= this.#lastRound && relays.length >= round - 2;
  }

  /** The certificate is valid. */
  #accept(certificate: Omit<ViewCertificate, 'kind'>, nowMs: number): Uint8Array[] {
    if (this.#signedView === undefined || !this.#counts(certificate, nowMs)) return [];
    this.#outcome = this.#signedView.outcome;
    const self = this.#membership.self;
    const { session, step } = this.#terms;
    const signature = signStatement(
      this.#membership,
      'broadcast/relayed-view',
      session,
      step,
      certificate.view,
    );
    const relays = [...certificate.relays.filter((one) => one.party !== self), { party: self, signature }];
    const { view, views } = certificate;
    return [encode(broadcastMessage, { kind: 'certificate', view, views, relays })];
  }

  #advance(nowMs: number): Uint8Array[] {
    const sent: Uint8Array[] = [];
    const round = this.#round(nowMs);
    const complete = [...this.#extracted.values()].every((values) => values.length === 1);
    if (this.#signedView === undefined && (complete || round >= 2)) sent.push(this.#signView());
    const views = this.#signedView && this.#views.get(this.#signedView.digest);
    if (this.#signedView && views?.size === this.#terms.participants.length) {
      const signatures = [...views].map(([party, signature]) => ({ party, signature }));
      sent.push(...this.#accept({ view: this.#signedView.digest, views: signatures, relays: [] }, nowMs));
    }
    if (this.#outcome !== undefined) return sent;
    if (round >= 2 && !this.#relayedFirstRound) {
      this.#relayedFirstRound = true;
      for (const [sender, values] of this.#extracted) {
        for (const value of values) sent.push(...this.#relay(sender, value));
      }
    }
    if (round > this.#lastRound) this.#outcome = this.#currentOutcome();
    return sent;
  }

  #signView(): Uint8Array {
    const { session, step } = this.#terms;
    const digest = this.#viewDigest();
    this.#signedView = { digest, outcome: this.#currentOutcome() };
    const signature = signStatement(this.#membership, 'broadcast/signed-view', session, step, digest);
    this.#countView(this.#membership.self, digest, signature);
    return encode(broadcastMessage, { kind: 'view', view: digest, signature });
  }
}
