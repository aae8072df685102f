import { KmsError } from '../../errors.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import { bytes, type Codec, decode, digest32, encode, key as keyCodec, struct } from '../../wire/codec.ts';
import { Allowance } from '../allowance.ts';
import { Broadcast } from '../broadcast/broadcast.ts';
import { type Certificate, CertificateCollector } from '../certificate.ts';
import type { Effect, Membership, Rng } from '../machine.ts';
import type { KeySeeds } from '../prss/seeds.ts';
import type { Session } from '../session/agreement.ts';
import { archiveName, SeedArchive } from './archive.ts';
import { ContributionStore } from './contributions.ts';
import {
  MAX_COMMITMENTS_BYTES,
  MAX_NAMING_BYTES,
  namingCodec,
  type SetupMessage,
  setupMessage,
  type Transcript,
} from './messages.ts';
import { Commitments, dealersIn, transcriptDigest } from './transcript.ts';

export interface SetupTerms {
  readonly session: Session;
  /** The key whose seeds this setup makes. */
  readonly key: KeyId;
  readonly roundMs: number;
}

/** Answers to one peer's questions per round: one for each dealer, and the transcript. */
const ANSWERS_PER_PEER = 64;

/** A party that sees too few dealers waits this many rounds for a certificate of those that see more. */
const ABORT_ROUNDS = 4;

/** What a party seals before it signs a transcript: everything needed to honour the signature. */
export interface SeedRecord {
  readonly key: KeyId;
  readonly session: Digest;
  readonly transcript: Digest;
  readonly seeds: Uint8Array;
}

export const seedRecordCodec: Codec<SeedRecord> = struct({
  key: keyCodec,
  session: digest32,
  transcript: digest32,
  seeds: bytes(1 << 20),
});

export const seedRecordName = (key: KeyId): string => `keys/${key}/seeds`;

/** The effects that make seeds, and what others may still need, durable: the seeds last, since they are signed for. */
export function sealSeeds(of: {
  readonly key: KeyId;
  readonly session: Digest;
  readonly archive: SeedArchive;
  readonly seeds: KeySeeds;
}): Effect[] {
  const { key, session, archive } = of;
  const archived = archive.encode();
  const record = of.seeds.useBytes((seeds) =>
    encode(seedRecordCodec, { key, session, transcript: archive.digest, seeds }),
  );
  const effects: Effect[] = [{ kind: 'persist', name: seedRecordName(key), record }];
  return archived === undefined
    ? effects
    : [{ kind: 'persist', name: archiveName(key), record: archived }, ...effects];
}

/** What a party holds of one key's setup. */
export interface HeldSeeds {
  readonly transcript: Digest;
  readonly seeds: KeySeeds;
  /** Undefined when every member has its seeds. */
  readonly archive: SeedArchive | undefined;
}

export interface SetupOutput {
  readonly transcript: Digest;
  readonly certificate: Certificate;
  readonly seeds: KeySeeds;
}

/**
 * PRSS seed setup (protocols.md section 2): commitments are broadcast; after that has ended each dealer opens them to
 * the holders of each set and to nobody else, ever; holders that lack values ask other holders; the dealers a holder
 * still lacks something of are named by broadcast; dealers named by more than t parties are out. The hash of
 * everything broadcast is certified by n - t signatures, each given only when the signer's seeds are durable.
 *
 * All waiting is bounded by a fixed schedule from the session's start; an undisturbed setup ends as fast as the
 * network carries it.
 */
export class SeedSetup {
  readonly #membership: Membership;
  readonly #terms: SetupTerms;
  readonly #commitmentStep: Broadcast;
  readonly #namingStep: Broadcast;
  readonly #store: ContributionStore;
  readonly #answers: Allowance;
  readonly #collector: CertificateCollector;
  /** Openings that arrived before the commitments were known. */
  readonly #early = new Map<PartyId, Extract<SetupMessage, { kind: 'contributions' }>>();
  #commitments: Commitments | undefined;
  #transcript: { digest: Digest; value: Transcript; dealers: readonly PartyId[] } | undefined;
  #hasNamed = false;
  #hasSigned = false;
  #hasSentCertificate = false;
  #nextAskMs: number;
  #abortMs: number | undefined;
  #seeds: KeySeeds | undefined;
  #archive: SeedArchive | undefined;
  #hasOpened = false;

  constructor(membership: Membership, terms: SetupTerms, rng: Rng) {
    this.#membership = membership;
    this.#terms = terms;
    const { id, participants, startMs } = terms.session;
    const { roundMs } = terms;
    const common = { session: id, participants, roundMs };
    this.#commitmentStep = new Broadcast(membership, {
      ...common,
      step: 'setup/commitments',
      startMs,
      maxValueBytes: MAX_COMMITMENTS_BYTES,
    });
    this.#nextAskMs = this.#commitmentStep.endMs + roundMs;
    const namingStartMs = this.#commitmentStep.endMs + 3 * roundMs;
    this.#namingStep = new Broadcast(membership, {
      ...common,
      step: 'setup/namings',
      startMs: namingStartMs,
      maxValueBytes: MAX_NAMING_BYTES,
    });
    this.#answers = new Allowance(ANSWERS_PER_PEER, roundMs);
    this.#collector = new CertificateCollector(membership, { domain: 'transcript', scope: id });
    this.#store = new ContributionStore(membership.committee, membership.self);
    this.#store.draw(rng);
  }

  /** Present once the transcript is certified and this party's seeds under it are durable. */
  get output(): SetupOutput | undefined {
    const certificate = this.#collector.certificate;
    if (this.#seeds === undefined || certificate?.statement !== this.#transcript?.digest) return undefined;
    return certificate && { transcript: certificate.statement, certificate, seeds: this.#seeds };
  }

  /** Seeds this party has made durable, certified or not, and what others may still need to make theirs. */
  get held(): HeldSeeds | undefined {
    if (this.#seeds === undefined || this.#archive === undefined) return undefined;
    return { transcript: this.#archive.digest, seeds: this.#seeds, archive: this.#archive };
  }

  get nextWakeMs(): number | undefined {
    if (this.output !== undefined) return undefined;
    const deadlines = [
      this.#commitmentStep.nextWakeMs,
      this.#namingStep.nextWakeMs,
      this.#nextAskMs,
      this.#abortMs,
    ];
    if (!this.#hasNamed) deadlines.push(this.#commitmentStep.endMs + 3 * this.#terms.roundMs);
    return Math.min(...deadlines.filter((ms) => ms !== undefined));
  }

  start(nowMs: number): Effect[] {
    const value = this.#store.commit(this.#membership.primitives, this.#terms.session.id);
    const sent = this.#commitmentStep.propose(value, nowMs);
    return [...this.#wrap('commitments', sent), ...this.#advance(nowMs)];
  }

  /** @throws {KmsError} BAD_ENCODING; SETUP_ABORTED when fewer than n - t dealers are left */
  receive(from: PartyId, message: Uint8Array, nowMs: number): Effect[] {
    if (!this.#terms.session.participants.includes(from)) return [];
    const decoded = decode(setupMessage, message);
    const effects = this.#handle(from, decoded, nowMs);
    return [...effects, ...this.#advance(nowMs)];
  }

  tick(nowMs: number): Effect[] {
    const commitments = this.#wrap('commitments', this.#commitmentStep.tick(nowMs));
    const namings = this.#wrap('namings', this.#namingStep.tick(nowMs));
    return [...commitments, ...namings, ...this.#advance(nowMs)];
  }

  /** Erases the contributions, unless they went into the archive; that and the seeds belong to who takes `held`. */
  [Symbol.dispose](): void {
    if (this.#archive === undefined) this.#store[Symbol.dispose]();
    for (const { values } of this.#early.values()) for (const { value } of values) value.fill(0);
  }

  #handle(from: PartyId, message: SetupMessage, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'commitments':
        return this.#wrap('commitments', this.#commitmentStep.receive(from, message.body, nowMs));
      case 'namings':
        return this.#wrap('namings', this.#namingStep.receive(from, message.body, nowMs));
      case 'contributions':
        if (this.#commitments === undefined) this.#early.set(from, message);
        else this.#store.take(this.#commitments, from, message.values);
        return [];
      case 'ask': {
        if (this.#commitments === undefined || !this.#answers.take(from, nowMs)) return [];
        const values = this.#store.answer(message.dealer, from, message.sets);
        return values.length === 0
          ? []
          : [this.#send(from, { kind: 'answer', dealer: message.dealer, values })];
      }
      case 'answer':
        if (this.#commitments !== undefined)
          this.#store.take(this.#commitments, message.dealer, message.values);
        return [];
      case 'signature':
        if (message.signature.party === from) this.#collector.add(message.transcript, message.signature);
        return [];
      case 'certificate':
        if (!this.#collector.adopt(message.certificate)) return [];
        return this.#isCertified
          ? []
          : [this.#send(from, { kind: 'fetch', transcript: message.certificate.statement })];
      case 'fetch':
        if (this.#transcript?.digest !== message.transcript || !this.#answers.take(from, nowMs)) return [];
        return [this.#send(from, { kind: 'transcript', transcript: this.#transcript.value })];
      case 'transcript':
        this.#adopt(message.transcript);
        return [];
    }
  }

  /** Is the transcript this party holds the certified one? */
  get #isCertified(): boolean {
    const certified = this.#collector.certificate?.statement;
    return certified !== undefined && certified === this.#transcript?.digest;
  }

  /** Whatever can go on, goes on. */
  #advance(nowMs: number): Effect[] {
    const effects: Effect[] = [];
    if (!this.#hasOpened && this.#commitmentStep.outcome !== undefined) effects.push(...this.#open(nowMs));
    if (this.#transcript === undefined && this.#abortMs !== undefined && nowMs >= this.#abortMs) {
      throw new KmsError('SETUP_ABORTED', 'too few dealers are left; the key generation starts again');
    }
    if (this.#commitments === undefined) return effects;
    effects.push(...this.#ask(nowMs), ...this.#name(nowMs));
    const canConclude = this.#transcript === undefined && this.#abortMs === undefined;
    if (canConclude && this.#namingStep.outcome !== undefined) this.#conclude(nowMs);
    effects.push(...this.#sign());
    const certificate = this.#collector.certificate;
    if (certificate !== undefined && this.#isCertified && !this.#hasSentCertificate) {
      this.#hasSentCertificate = true;
      effects.push(...this.#sendToOthers({ kind: 'certificate', certificate }));
    }
    return effects;
  }

  /** The commitment broadcast has ended: only now may values leave, each to the holders of its set. */
  #open(nowMs: number): Effect[] {
    const { id } = this.#terms.session;
    const { primitives, committee } = this.#membership;
    this.#hasOpened = true;
    this.#commitments ??= new Commitments(primitives, committee, id, this.#commitmentStep.outcome ?? []);
    this.#takeEarly(this.#commitments);
    if (this.#commitments.dealers.length < committee.certificateQuorum) this.#expectAbort(nowMs);
    return this.#others.map((to) => this.#send(to, { kind: 'contributions', values: this.#store.owed(to) }));
  }

  #takeEarly(commitments: Commitments): void {
    for (const [dealer, { values }] of this.#early) this.#store.take(commitments, dealer, values);
    this.#early.clear();
  }

  /** Dealers this party waits for: all whose commitments stand, later only those still in. */
  get #awaited(): readonly PartyId[] {
    return this.#transcript?.dealers ?? this.#commitments?.dealers ?? [];
  }

  get #lacking(): readonly PartyId[] {
    return this.#awaited.filter((dealer) => !this.#store.isComplete(dealer));
  }

  get #isLacking(): boolean {
    return this.#awaited.some((dealer) => !this.#store.isComplete(dealer));
  }

  /** Asks the other participants, who answer with what both hold, once a round while something is lacking. */
  #ask(nowMs: number): Effect[] {
    if (nowMs < this.#nextAskMs) return [];
    this.#nextAskMs = nowMs + this.#terms.roundMs;
    return this.#lacking.flatMap((dealer) =>
      this.#sendToOthers({ kind: 'ask', dealer, sets: this.#store.missing(dealer) }),
    );
  }

  /** Names nobody as soon as nothing is lacking, and whoever is lacking when the time is over. */
  #name(nowMs: number): Effect[] {
    const isOver = nowMs >= this.#commitmentStep.endMs + 3 * this.#terms.roundMs;
    if (this.#hasNamed || (this.#isLacking && !isOver)) return [];
    this.#hasNamed = true;
    return this.#wrap('namings', this.#namingStep.propose(encode(namingCodec, this.#lacking), nowMs));
  }

  /** Too few dealers left: others may see more than this party and certify, so it waits for that before it aborts. */
  #conclude(nowMs: number): void {
    const { participants, id } = this.#terms.session;
    const isFormed = this.#setTranscript({
      session: id,
      participants,
      commitments: participants.map((party) => this.#commitmentStep.outcome?.get(party)),
      namings: participants.map((party) => this.#namingStep.outcome?.get(party)),
    });
    if (!isFormed) this.#expectAbort(nowMs);
  }

  #expectAbort(nowMs: number): void {
    this.#abortMs ??= nowMs + ABORT_ROUNDS * this.#terms.roundMs;
  }

  /** @returns false if fewer than n - t dealers are left */
  #setTranscript(value: Transcript): boolean {
    const { committee, primitives } = this.#membership;
    const values = value.participants.map((party, i) => [party, value.commitments[i]] as const);
    const commitments = new Commitments(primitives, committee, value.session, values);
    const dealers = dealersIn(committee, value, commitments);
    if (dealers.length < committee.certificateQuorum) return false;
    this.#commitments = commitments;
    this.#transcript = { digest: transcriptDigest(primitives, value), value, dealers };
    return true;
  }

  /** This party's view differs from the certified one, or it has none: the certified one it is. */
  #adopt(transcript: Transcript): void {
    const certified = this.#collector.certificate?.statement;
    if (certified === undefined || certified === this.#transcript?.digest) return;
    if (transcriptDigest(this.#membership.primitives, transcript) !== certified) return;
    if (!this.#setTranscript(transcript) || this.#commitments === undefined) return;
    this.#store.keepOnly(this.#commitments);
    this.#takeEarly(this.#commitments);
    this.#seeds?.[Symbol.dispose]();
    this.#seeds = undefined;
    this.#archive = undefined;
  }

  /** Derives and seals the seeds of this transcript, then signs it, once, unless another one is certified. */
  #sign(): Effect[] {
    if (this.#transcript === undefined || this.#seeds !== undefined || this.#isLacking) return [];
    const { session, key } = this.#terms;
    const { digest, value } = this.#transcript;
    const archive = new SeedArchive(this.#membership, key, digest, this.#store);
    archive.setTranscript(value);
    const held = archive.deriveSeeds();
    if (held === undefined) return [];
    this.#seeds = held;
    this.#archive = archive;
    const sealed = sealSeeds({ key, session: session.id, archive, seeds: held });
    const certified = this.#collector.certificate?.statement;
    if (this.#hasSigned || (certified !== undefined && certified !== digest)) return sealed;
    this.#hasSigned = true;
    const signature = this.#collector.sign(digest);
    return [...sealed, ...this.#sendToOthers({ kind: 'signature', transcript: digest, signature })];
  }

  get #others(): readonly PartyId[] {
    return this.#terms.session.participants.filter((party) => party !== this.#membership.self);
  }

  #send(to: PartyId, message: SetupMessage): Effect {
    return { kind: 'send', to, message: encode(setupMessage, message) };
  }

  #sendToOthers(message: SetupMessage): Effect[] {
    const encoded = encode(setupMessage, message);
    return this.#others.map((to) => ({ kind: 'send', to, message: encoded }));
  }

  #wrap(kind: 'commitments' | 'namings', bodies: readonly Uint8Array[]): Effect[] {
    return bodies.flatMap((body) => this.#sendToOthers({ kind, body }));
  }
}
