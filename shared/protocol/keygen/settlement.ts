import { KmsError } from '../../errors.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import { decode, encode } from '../../wire/codec.ts';
import { Allowance } from '../allowance.ts';
import { type Certificate, CertificateCollector, isCertified, keyScope } from '../certificate.ts';
import { type Effect, type Membership, sendToAll } from '../machine.ts';
import type { KeySeeds } from '../prss/seeds.ts';
import { archiveName } from '../setup/archive.ts';
import { setupMessage } from '../setup/messages.ts';
import { type HeldSeeds, seedRecordName } from '../setup/setup.ts';
import { type Chunk, chunkAt } from './download.ts';
import {
  certificateName,
  encodeCertificate,
  type KeyFiles,
  recordName,
  requestName,
  requestStateCodec,
} from './files.ts';
import { keygenMessage, type SettlementMessage } from './messages.ts';
import { type CertifiedKey, checkRecord, type KeyRecord, keyDigest, keyRecordCodec } from './record.ts';
import { type ChunkRequest, RecordFetch } from './record-fetch.ts';
import type { KeyRequest } from './request.ts';
import { SeedCustody } from './seed-custody.ts';

export interface FinishedKey extends CertifiedKey {
  /** Undefined while this party has not got its seeds: it holds no share of this key yet. */
  readonly seeds: KeySeeds | undefined;
}

/** Unanswered questions are repeated after this many rounds. */
const QUERY_ROUNDS = 8;
const MAX_QUERY_ROUNDS = 512;
/** Answers to one peer's questions, per QUERY_ROUNDS: each question costs the asker little and this party much. */
const ANSWERS_PER_PEER = 64;

/** A record and its digest, which takes a pass over megabytes: made once, never for a peer's message. */
interface DigestedRecord {
  readonly value: KeyRecord;
  readonly digest: Digest;
}

/**
 * What becomes of one key of a request, from the moment this party holds seeds for it or hears that it exists: signing the
 * record, collecting the certificate, taking a certified record from others, getting seeds that this party missed, and
 * serving all that to members who lack it. Independent of sessions; it outlives them and restarts.
 *
 * This party signs one record per key, ever; after a restart it repeats that signature or none.
 */
export class KeySettlement {
  readonly key: KeyId;
  readonly attempt: number;
  readonly #membership: Membership;
  readonly #request: KeyRequest;
  readonly #roundMs: number;
  readonly #collector: CertificateCollector;
  readonly #answers: Allowance;
  readonly #fetch: RecordFetch;
  readonly #custody: SeedCustody;
  /** The record this party signed or adopted. */
  #record: DigestedRecord | undefined;
  #hasSigned = false;
  #finished: FinishedKey | undefined;
  #nextQueryMs = Number.POSITIVE_INFINITY;
  #queryRounds = QUERY_ROUNDS;
  /** The finished record as it is served to peers. */
  #encoded: Uint8Array | undefined;

  constructor(
    membership: Membership,
    request: KeyRequest,
    of: { key: KeyId; attempt: number },
    roundMs: number,
  ) {
    this.#membership = membership;
    this.#request = request;
    this.key = of.key;
    this.attempt = of.attempt;
    this.#roundMs = roundMs;
    this.#collector = new CertificateCollector(membership, keyScope(of.key));
    this.#answers = new Allowance(ANSWERS_PER_PEER, QUERY_ROUNDS * roundMs);
    this.#fetch = new RecordFetch(request, roundMs);
    this.#custody = new SeedCustody(membership, of.key);
  }

  /** Continues from what this party has made durable. */
  static restore(membership: Membership, files: KeyFiles, roundMs: number): KeySettlement {
    const { state, record, certificate } = files;
    const settlement = new KeySettlement(membership, state.request, state, roundMs);
    settlement.#custody.restore(files);
    if (certificate !== undefined) settlement.#collector.adopt(certificate);
    if (record !== undefined) {
      settlement.#record = settlement.#digested(record);
      // A record is written before its certificate by who signed it, after it by who adopted it.
      if (certificate === undefined) settlement.#sign(settlement.#record);
    }
    settlement.#settle();
    return settlement;
  }

  /** Is this a certificate of this key? Asked before anything is kept for a key this party knows nothing of. */
  wouldAccept(certificate: Certificate): boolean {
    return isCertified(this.#membership, keyScope(this.key), certificate);
  }

  get finished(): FinishedKey | undefined {
    return this.#finished;
  }

  /** Has this party signed this key's record? Then it honours it for as long as it may still be certified. */
  get hasSigned(): boolean {
    return this.#hasSigned;
  }

  get nextWakeMs(): number | undefined {
    const isDone = this.#finished?.seeds !== undefined && !this.#custody.isOpen;
    const wakes = [this.#fetch.nextWakeMs, isDone ? undefined : this.#nextQueryMs];
    const next = Math.min(...wakes.filter((ms) => ms !== undefined));
    return Number.isFinite(next) ? next : undefined;
  }

  /** After a restart: repeats this party's signature, asks what became of the key, or says what it has. */
  start(nowMs: number): Effect[] {
    this.#nextQueryMs = nowMs + QUERY_ROUNDS * this.#roundMs;
    if (this.#finished !== undefined) return [...this.#announce(), ...this.#askForSeeds()];
    return [...this.#sendAll({ ...this.#name, kind: 'query' }), ...this.#repeatSignature()];
  }

  tick(nowMs: number): Effect[] {
    const effects = this.#asked(this.#fetch.tick(nowMs));
    if (nowMs >= this.#nextQueryMs) effects.push(...this.#ask(nowMs));
    return effects;
  }

  /** What this party still has to learn: the key, its seeds, or whether the others have theirs. Less and less often. */
  #ask(nowMs: number): Effect[] {
    this.#nextQueryMs = nowMs + this.#queryRounds * this.#roundMs;
    this.#queryRounds = Math.min(2 * this.#queryRounds, MAX_QUERY_ROUNDS);
    if (this.#finished === undefined) return this.#sendAll({ ...this.#name, kind: 'query' });
    if (this.#finished.seeds === undefined) return this.#askForSeeds();
    return this.#custody.unseeded.map((peer) => this.#send(peer, { ...this.#name, kind: 'query' }));
  }

  /** Seeds that this party has made durable in the session of this attempt. */
  hold(held: HeldSeeds, nowMs: number): Effect[] {
    if (!this.#custody.hold(held)) return [];
    this.#nextQueryMs = Math.min(this.#nextQueryMs, nowMs + QUERY_ROUNDS * this.#roundMs);
    return this.#settle();
  }

  /** Durable before spoken: the record, and with the seeds everything needed to honour it, then the signature. */
  sign(record: KeyRecord): Effect[] {
    if (this.#hasSigned || this.#finished !== undefined) return [];
    this.#sign(this.#digested(record));
    const sealed: Effect = {
      kind: 'persist',
      name: recordName(this.key),
      record: encode(keyRecordCodec, record),
    };
    return [sealed, ...this.#repeatSignature(), ...this.#settle()];
  }

  /** @throws {KmsError} BAD_ENCODING, WRONG_KEY */
  receive(from: PartyId, message: SettlementMessage, nowMs: number): Effect[] {
    const effects = this.#handle(from, message, nowMs);
    // A key this party heard of from others: from now on it asks for what it lacks.
    if (this.#finished !== undefined && !Number.isFinite(this.#nextQueryMs)) {
      this.#nextQueryMs = nowMs + QUERY_ROUNDS * this.#roundMs;
    }
    return effects;
  }

  #handle(from: PartyId, message: SettlementMessage, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'key-signature':
        if (message.by.party === from) this.#collector.add(message.statement, message.by);
        return this.#settle();
      case 'key-certificate':
        return this.#onCertificate(from, message.certificate, message.holdsSeeds, nowMs);
      case 'introduction':
        return this.#onCertificate(from, message.certificate, false, nowMs);
      case 'chunk':
        return this.#onChunk(from, message, nowMs);
      case 'archive':
        return this.#onArchive(from, message.body, nowMs);
      case 'query':
        return this.#answers.take(from, nowMs) ? this.#answer(from) : [];
      case 'fetch':
        return this.#answers.take(from, nowMs) ? this.#serve(from, message.offset) : [];
    }
  }

  /** The request ended with another key: what nobody can be owed any more goes. */
  abandon(): Effect[] {
    if (this.#finished !== undefined) return [];
    this.#nextQueryMs = Number.POSITIVE_INFINITY;
    if (this.#hasSigned) return [];
    this.#custody[Symbol.dispose]();
    const names = [
      seedRecordName(this.key),
      archiveName(this.key),
      `keys/${this.key}/round-one`,
      requestName(this.key),
    ];
    return names.map((name) => ({ kind: 'erase', name }));
  }

  get #name(): { readonly key: KeyId; readonly attempt: number } {
    return { key: this.key, attempt: this.attempt };
  }

  #digested(value: KeyRecord): DigestedRecord {
    return { value, digest: keyDigest(this.#membership.primitives, value) };
  }

  #sign(record: DigestedRecord): void {
    this.#record = record;
    this.#hasSigned = true;
    this.#collector.sign(record.digest);
  }

  #repeatSignature(): Effect[] {
    const own = this.#ownSignature();
    return own === undefined ? [] : this.#sendAll(own);
  }

  #ownSignature(): SettlementMessage | undefined {
    if (!this.#hasSigned || this.#record === undefined) return undefined;
    const { digest: statement } = this.#record;
    return { ...this.#name, kind: 'key-signature', statement, by: this.#collector.sign(statement) };
  }

  /** If n - t parties signed exactly the record this party has, it is the key. */
  #settle(): Effect[] {
    const certificate = this.#collector.certificate;
    const record = this.#record;
    if (certificate === undefined || record === undefined) return [];
    if (this.#finished !== undefined) return this.#gainSeeds(this.#finished);
    if (certificate.statement !== record.digest) return [];
    this.#fetch.stop();
    const { value } = record;
    this.#finished = { record: value, certificate, seeds: this.#custody.of(value) };
    return [...this.#sealFinished(value, certificate), ...this.#announce(), ...this.#askForSeeds()];
  }

  #gainSeeds({ record, certificate, seeds }: FinishedKey): Effect[] {
    const gained = this.#custody.of(record);
    if (seeds !== undefined || gained === undefined) return [];
    this.#finished = { record, certificate, seeds: gained };
    return this.#announce();
  }

  /**
   * The certificate first: a record on disk without one is a record this party signed. An adopted one follows with its
   * request, which a party that was not in the session has never written.
   */
  #sealFinished(record: KeyRecord, certificate: Certificate): Effect[] {
    const sealed: Effect = {
      kind: 'persist',
      name: certificateName(this.key),
      record: encodeCertificate(certificate),
    };
    if (this.#hasSigned) return [sealed];
    const state = encode(requestStateCodec, { request: this.#request, ...this.#name });
    return [
      sealed,
      { kind: 'persist', name: requestName(this.key), record: state },
      { kind: 'persist', name: recordName(this.key), record: encode(keyRecordCodec, record) },
    ];
  }

  #certificateMessage(): SettlementMessage | undefined {
    if (this.#finished === undefined) return undefined;
    const { certificate, seeds } = this.#finished;
    return { ...this.#name, kind: 'key-certificate', certificate, holdsSeeds: seeds !== undefined };
  }

  #announce(): Effect[] {
    const message = this.#certificateMessage();
    return message === undefined ? [] : this.#sendAll(message);
  }

  #answer(from: PartyId): Effect[] {
    const message = this.#certificateMessage() ?? this.#ownSignature();
    return message === undefined ? [] : [this.#send(from, message)];
  }

  #serve(from: PartyId, offset: number): Effect[] {
    if (this.#finished === undefined) return [];
    this.#encoded ??= encode(keyRecordCodec, this.#finished.record);
    return [this.#send(from, { ...this.#name, kind: 'chunk', ...chunkAt(this.#encoded, offset) })];
  }

  #onCertificate(from: PartyId, certificate: Certificate, holdsSeeds: boolean, nowMs: number): Effect[] {
    if (!this.#collector.adopt(certificate)) return [];
    this.#fetch.addSource(from);
    if (holdsSeeds) this.#custody.noteSeeded(from);
    const effects = [...this.#settle(), ...this.#closeArchive()];
    if (this.#finished === undefined) this.#fetch.expect(nowMs);
    return effects;
  }

  #closeArchive(): readonly Effect[] {
    return this.#finished === undefined ? [] : this.#custody.close(this.#finished.record);
  }

  #asked(request: ChunkRequest | undefined): Effect[] {
    if (request === undefined) return [];
    return [this.#send(request.to, { ...this.#name, kind: 'fetch', offset: request.offset })];
  }

  #onChunk(from: PartyId, chunk: Chunk, nowMs: number): Effect[] {
    if (this.#finished !== undefined) return [];
    const outcome = this.#fetch.receive(from, chunk, nowMs);
    if (!(outcome instanceof Uint8Array)) return this.#asked(outcome);
    return this.#adopt(outcome) ? this.#settle() : this.#asked(this.#fetch.next(nowMs));
  }

  /** A record made by others, certified by n - t of them: taken as it is, and nothing else is signed. */
  #adopt(bytes: Uint8Array): boolean {
    try {
      const record = this.#digested(decode(keyRecordCodec, bytes));
      if (record.digest !== this.#collector.certificate?.statement) return false;
      checkRecord(this.#membership, this.key, record.value);
      this.#record = record;
      return true;
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      return false;
    }
  }

  /** This party has the key and no share of it: every member that holds a set may tell it the values. */
  #askForSeeds(): Effect[] {
    if (this.#finished === undefined) return [];
    return this.#custody
      .questions(this.#finished.record)
      .flatMap((question) =>
        this.#sendAll({ ...this.#name, kind: 'archive', body: encode(setupMessage, question) }),
      );
  }

  #onArchive(from: PartyId, body: Uint8Array, nowMs: number): Effect[] {
    const message = decode(setupMessage, body);
    if (message.kind === 'fetch' || message.kind === 'ask') {
      const answer = this.#answers.take(from, nowMs) ? this.#custody.answer(from, message) : undefined;
      if (answer === undefined) return [];
      return [this.#send(from, { ...this.#name, kind: 'archive', body: encode(setupMessage, answer) })];
    }
    if (this.#finished === undefined || this.#finished.seeds !== undefined) return [];
    const sealed = this.#custody.learn(this.#finished.record, message);
    // Each transcript is news once: a peer that repeats it must not make this party ask everybody again.
    if (sealed === 'ask') return this.#askForSeeds();
    if (sealed === 'wait') return [];
    return [...sealed, ...this.#settle(), ...this.#closeArchive()];
  }

  #send(to: PartyId, message: SettlementMessage): Effect {
    return { kind: 'send', to, message: encode(keygenMessage, message) };
  }

  #sendAll(message: SettlementMessage): Effect[] {
    return sendToAll(this.#membership, encode(keygenMessage, message));
  }
}
