import type { Digest, PartyId } from '../../ids.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { decode, encode } from '../../wire/codec.ts';
import { type Effect, type Membership, type Rng, sendToAll } from '../machine.ts';
import { isSigned, signStatement, tupleDigest } from '../statement.ts';
import { agreementMessage, type Proposal, type SignedNonce } from './messages.ts';

/** One run of a synchronous protocol: its id, who takes part, and when its rounds begin. */
export interface Session {
  readonly id: Digest;
  readonly attempt: number;
  readonly startMs: number;
  readonly participants: readonly PartyId[];
}

export interface AgreementTerms {
  /** What the session is for; every party that wants it computes the same digest. */
  readonly purpose: Digest;
  readonly roundMs: number;
  /** Attempts below this one have failed. */
  readonly firstAttempt: number;
}

/** A starter waits this many rounds for replies that are still missing: there and back. */
const REPLY_ROUNDS = 2;
/**
 * A proposal starts so many rounds after it is made. Before anything is said in the session its starter, and then whoever joins,
 * makes it durable that the attempt is taken, which takes a round each while a member is away or silent (decision 0005); what
 * all say next must arrive within the first round.
 */
const START_ROUNDS = 2;
/** A proposal counts if its start is at most so far off, in rounds. */
const MAX_START = { earlyRounds: 0.5, lateRounds: 3 };
/** Attempts that end without a session take this many rounds. */
const ATTEMPT_ROUNDS = 5;

/**
 * Agreement on a session id (protocols.md section 1): the starter of an attempt, rotating, collects signed nonces of at
 * least n - t parties and proposes them with a start time. A party joins at most one list per attempt, and only one
 * that holds the nonce it made for this attempt in this process life; so a party that restarted never speaks in a
 * session it has lost, and no recorded session can be replayed to it.
 *
 * A party answers the starters of attempts up to the one after its own: it can still join those that are behind, and a
 * malicious starter cannot keep pulling it ahead of the honest ones' turns. Whoever joins
 * passes the proposal on to everybody listed, so a starter cannot trap one party alone in a session; if it signs two lists,
 * those who see both leave at once, and the next attempt has another starter.
 */
export class SessionAgreement {
  readonly #membership: Membership;
  readonly #terms: AgreementTerms;
  readonly #rng: Rng;
  readonly #ownNonces = new Map<number, SignedNonce>();
  readonly #replies = new Map<PartyId, SignedNonce>();
  #attempt: number;
  #attemptStartMs = 0;
  #hasProposed = false;
  #session: Session | undefined;
  #isRefuted = false;

  constructor(membership: Membership, terms: AgreementTerms, rng: Rng) {
    this.#membership = membership;
    this.#terms = terms;
    this.#rng = rng;
    this.#attempt = terms.firstAttempt;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** The starter of the joined session signed another list for the same attempt. */
  get isRefuted(): boolean {
    return this.#isRefuted;
  }

  get attempt(): number {
    return this.#attempt;
  }

  get nextWakeMs(): number | undefined {
    if (this.#session !== undefined) return undefined;
    const waiting = this.#isStarter && !this.#hasProposed && this.#hasQuorum;
    return this.#attemptStartMs + (waiting ? REPLY_ROUNDS : ATTEMPT_ROUNDS) * this.#terms.roundMs;
  }

  start(nowMs: number): Effect[] {
    return this.#beginAttempt(this.#attempt, nowMs);
  }

  receive(from: PartyId, message: Uint8Array, nowMs: number): Effect[] {
    const decoded = decode(agreementMessage, message);
    const { attempt } = decoded;
    if (this.#session !== undefined) {
      if (decoded.kind === 'proposal') this.#onFurtherProposal(decoded, nowMs);
      return [];
    }
    if (attempt < this.#terms.firstAttempt || attempt > this.#attempt + 1) return [];
    if (decoded.kind === 'nonce-reply') return this.#onReply(from, attempt, decoded.nonce, nowMs);
    if (decoded.kind === 'proposal') return this.#onProposal(decoded, nowMs);
    if (from !== this.#starterOf(attempt)) return [];
    const reply = { kind: 'nonce-reply', attempt, nonce: this.#ownNonce(attempt) } as const;
    return [{ kind: 'send', to: from, message: encode(agreementMessage, reply) }];
  }

  tick(nowMs: number): Effect[] {
    if (this.#session !== undefined) return [];
    const elapsedRounds = (nowMs - this.#attemptStartMs) / this.#terms.roundMs;
    if (elapsedRounds >= ATTEMPT_ROUNDS) return this.#beginAttempt(this.#attempt + 1, nowMs);
    return elapsedRounds >= REPLY_ROUNDS ? this.#propose(nowMs) : [];
  }

  #starterOf(attempt: number): PartyId {
    const { parties } = this.#membership.committee;
    return parties[attempt % parties.length]!;
  }

  get #isStarter(): boolean {
    return this.#starterOf(this.#attempt) === this.#membership.self;
  }

  get #hasQuorum(): boolean {
    return this.#replies.size >= this.#membership.committee.certificateQuorum;
  }

  #beginAttempt(attempt: number, nowMs: number): Effect[] {
    this.#attempt = attempt;
    this.#attemptStartMs = nowMs;
    this.#replies.clear();
    this.#hasProposed = false;
    if (!this.#isStarter) return [];
    this.#replies.set(this.#membership.self, this.#ownNonce(attempt));
    return sendToAll(this.#membership, encode(agreementMessage, { kind: 'nonce-request', attempt }));
  }

  #ownNonce(attempt: number): SignedNonce {
    const known = this.#ownNonces.get(attempt);
    if (known !== undefined) return known;
    const nonce = this.#rng(32);
    const self = this.#membership.self;
    const signature = signStatement(this.#membership, 'session/nonce', ...this.#topic(attempt), self, nonce);
    const signed = { party: self, nonce, signature };
    this.#ownNonces.set(attempt, signed);
    return signed;
  }

  #topic(attempt: number): (string | number)[] {
    const { networkId, configuration, epoch } = this.#membership;
    return [networkId, configuration, epoch, this.#terms.purpose, attempt];
  }

  #isNonceSigned(one: SignedNonce, attempt: number): boolean {
    const topic = this.#topic(attempt);
    return isSigned(
      this.#membership,
      one.party,
      one.signature,
      'session/nonce',
      ...topic,
      one.party,
      one.nonce,
    );
  }

  #onReply(from: PartyId, attempt: number, nonce: SignedNonce, nowMs: number): Effect[] {
    if (!this.#isStarter || attempt !== this.#attempt || nonce.party !== from) return [];
    if (this.#replies.has(from) || !this.#isNonceSigned(nonce, attempt)) return [];
    this.#replies.set(from, nonce);
    const everyone = this.#replies.size === this.#membership.committee.n;
    const isOver = nowMs >= this.#attemptStartMs + REPLY_ROUNDS * this.#terms.roundMs;
    return everyone || isOver ? this.#propose(nowMs) : [];
  }

  #propose(nowMs: number): Effect[] {
    if (!this.#isStarter || this.#hasProposed || !this.#hasQuorum) return [];
    this.#hasProposed = true;
    const nonces = [...this.#replies.values()].sort((a, b) => a.party - b.party);
    const startMs = Math.ceil(nowMs + START_ROUNDS * this.#terms.roundMs);
    const fields = this.#sessionFields(this.#attempt, startMs, nonces);
    const proposal: Proposal = {
      kind: 'proposal',
      attempt: this.#attempt,
      startMs: BigInt(startMs),
      nonces,
      signature: signStatement(this.#membership, 'session/proposal', ...fields),
    };
    this.#join(this.#attempt, startMs, nonces);
    return sendToAll(this.#membership, encode(agreementMessage, proposal));
  }

  #sessionFields(
    attempt: number,
    startMs: number,
    nonces: readonly SignedNonce[],
  ): (string | number | Uint8Array)[] {
    return [
      ...this.#topic(attempt),
      startMs,
      nonces.length,
      ...nonces.flatMap((one) => [one.party, one.nonce]),
    ];
  }

  /** A proposal counts whoever brings it: whoever joins passes it on to everybody listed. */
  #onProposal(proposal: Proposal, nowMs: number): Effect[] {
    const { attempt, nonces } = proposal;
    const startMs = Number(proposal.startMs);
    const own = this.#ownNonces.get(attempt);
    const listed = nonces.find((one) => one.party === this.#membership.self);
    if (own === undefined || listed === undefined || !equalBytes(own.nonce, listed.nonce)) return [];
    const { roundMs } = this.#terms;
    const isTimely =
      startMs >= nowMs - MAX_START.earlyRounds * roundMs && startMs <= nowMs + MAX_START.lateRounds * roundMs;
    if (!isTimely || !this.#isProposed(proposal)) return [];
    this.#join(attempt, startMs, nonces);
    const message = encode(agreementMessage, proposal);
    const others = nonces.map((one) => one.party).filter((party) => party !== this.#membership.self);
    return others.map((to) => ({ kind: 'send', to, message }));
  }

  /** Signed by its starter, over a list of at least n - t parties with their signed nonces. */
  #isProposed({ attempt, startMs, nonces, signature }: Proposal): boolean {
    const { committee } = this.#membership;
    if (nonces.length < committee.certificateQuorum || nonces.length > committee.n) return false;
    if (nonces.some((one, i) => i > 0 && one.party <= nonces[i - 1]!.party)) return false;
    const fields = this.#sessionFields(attempt, Number(startMs), nonces);
    return (
      isSigned(this.#membership, this.#starterOf(attempt), signature, 'session/proposal', ...fields) &&
      nonces.every((one) => this.#isNonceSigned(one, attempt))
    );
  }

  /** Two lists for one attempt, both signed: no session of it can be trusted to gather everybody. */
  #onFurtherProposal(proposal: Proposal, nowMs: number): void {
    const session = this.#session;
    if (session === undefined || proposal.attempt !== session.attempt || this.#isRefuted) return;
    const startMs = Number(proposal.startMs);
    if (!Number.isSafeInteger(startMs) || nowMs > session.startMs + ATTEMPT_ROUNDS * this.#terms.roundMs)
      return;
    if (this.#idOf(proposal.attempt, startMs, proposal.nonces) === session.id) return;
    this.#isRefuted = this.#isProposed(proposal);
  }

  #join(attempt: number, startMs: number, nonces: readonly SignedNonce[]): void {
    const id = this.#idOf(attempt, startMs, nonces);
    this.#session = { id, attempt, startMs, participants: nonces.map((one) => one.party) };
    this.#ownNonces.clear();
  }

  #idOf(attempt: number, startMs: number, nonces: readonly SignedNonce[]): Digest {
    const fields = this.#sessionFields(attempt, startMs, nonces);
    return tupleDigest(this.#membership.primitives, 'session', ...fields);
  }
}
