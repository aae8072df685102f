import type { KeyId, PartyId } from '../../ids.ts';
import { decode, encode } from '../../wire/codec.ts';
import { tokenBucket } from '../allowance.ts';
import { type Certificate, CertificateCollector, isCertified, keyScope } from '../certificate.ts';
import { type Effect, type Membership, peersOf, sendToAll } from '../machine.ts';
import { KeySeeds } from '../prss/seeds.ts';
import { archiveName, SeedArchive } from '../setup/archive.ts';
import { setupMessage } from '../setup/messages.ts';
import { type HeldSeeds, sealSeeds, seedRecordName } from '../setup/setup.ts';
import { type Chunk, chunkAt, RecordDownload } from './download.ts';
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
import type { KeyRequest } from './request.ts';

export interface FinishedKey extends CertifiedKey {
  /** Undefined while this party has not got its seeds: it holds no share of this key yet. */
  readonly seeds: KeySeeds | undefined;
}

/** Unanswered questions are repeated after this many rounds. */
const QUERY_ROUNDS = 8;
const MAX_QUERY_ROUNDS = 512;
/** A peer that is slow with a piece of a record is replaced after this many rounds. */
const CHUNK_ROUNDS = 4;
/** A certificate that comes before this party's own record is given time to be overtaken by it. */
const DOWNLOAD_DELAY_ROUNDS = 1;
/** Answers to one peer's questions, per QUERY_ROUNDS: each question costs the asker little and this party much. */
const ANSWERS_PER_PEER = 64;

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
  readonly #mayAnswer: (to: PartyId, nowMs: number) => boolean;
  /** Peers known to have the certified record, in the order they said so. */
  readonly #sources: PartyId[] = [];
  /** Peers known to hold their seeds. */
  readonly #seeded = new Set<PartyId>();
  #held: HeldSeeds | undefined;
  /** Asks the others for seeds this party missed. */
  #recovery: SeedArchive | undefined;
  /** The record this party signed or adopted. */
  #record: KeyRecord | undefined;
  #hasSigned = false;
  #finished: FinishedKey | undefined;
  #download: (RecordDownload & { deadlineMs?: number }) | undefined;
  #downloadDueMs: number | undefined;
  #nextQueryMs: number;
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
    this.#mayAnswer = tokenBucket(ANSWERS_PER_PEER, QUERY_ROUNDS * roundMs);
    this.#nextQueryMs = Number.POSITIVE_INFINITY;
  }

  /** Continues from what this party has made durable. */
  static restore(membership: Membership, files: KeyFiles, roundMs: number): KeySettlement {
    const { state, seeds, record, certificate } = files;
    const settlement = new KeySettlement(membership, state.request, state, roundMs);
    const { committee, self } = membership;
    if (seeds !== undefined) {
      const archive = files.archive && SeedArchive.decode(membership, state.key, files.archive);
      settlement.#held = {
        transcript: seeds.transcript,
        seeds: new KeySeeds(committee, self, seeds.seeds),
        archive: archive?.digest === seeds.transcript ? archive : undefined,
      };
    }
    if (certificate !== undefined) settlement.#collector.adopt(certificate);
    settlement.#record = record;
    // A record is written before its certificate by who signed it, after it by who adopted it.
    if (record !== undefined && certificate === undefined) settlement.#sign(record);
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
    const isDone = this.#finished?.seeds !== undefined && this.#held?.archive === undefined;
    const wakes = [this.#download?.deadlineMs, this.#downloadDueMs, isDone ? undefined : this.#nextQueryMs];
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
    const effects: Effect[] = [];
    const isStale = this.#download?.deadlineMs !== undefined && nowMs >= this.#download.deadlineMs;
    if (isStale) this.#download = undefined;
    if (isStale || (this.#downloadDueMs !== undefined && nowMs >= this.#downloadDueMs))
      effects.push(...this.#fetch(nowMs));
    if (nowMs >= this.#nextQueryMs) effects.push(...this.#ask(nowMs));
    return effects;
  }

  /** What this party still has to learn: the key, its seeds, or whether the others have theirs. Less and less often. */
  #ask(nowMs: number): Effect[] {
    this.#nextQueryMs = nowMs + this.#queryRounds * this.#roundMs;
    this.#queryRounds = Math.min(2 * this.#queryRounds, MAX_QUERY_ROUNDS);
    if (this.#finished === undefined) return this.#sendAll({ ...this.#name, kind: 'query' });
    if (this.#finished.seeds === undefined) return this.#askForSeeds();
    const unknown = peersOf(this.#membership).filter((peer) => !this.#seeded.has(peer));
    return unknown.map((peer) => this.#send(peer, { ...this.#name, kind: 'query' }));
  }

  /** Seeds that this party has made durable in the session of this attempt. */
  hold(held: HeldSeeds, nowMs: number): Effect[] {
    if (this.#held !== undefined && this.#held.transcript === held.transcript) return [];
    this.#held = held;
    this.#nextQueryMs = Math.min(this.#nextQueryMs, nowMs + QUERY_ROUNDS * this.#roundMs);
    return this.#settle();
  }

  /** Durable before spoken: the record, and with the seeds everything needed to honour it, then the signature. */
  sign(record: KeyRecord): Effect[] {
    if (this.#hasSigned || this.#finished !== undefined) return [];
    this.#sign(record);
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
        return this.#mayAnswer(from, nowMs) ? this.#answer(from) : [];
      case 'fetch':
        return this.#mayAnswer(from, nowMs) ? this.#serve(from, message.offset) : [];
    }
  }

  /** The request ended with another key: what nobody can be owed any more goes. */
  abandon(): Effect[] {
    if (this.#finished !== undefined) return [];
    this.#nextQueryMs = Number.POSITIVE_INFINITY;
    if (this.#hasSigned) return [];
    this.#held?.seeds[Symbol.dispose]();
    this.#held?.archive?.[Symbol.dispose]();
    this.#held = undefined;
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

  #sign(record: KeyRecord): void {
    this.#record = record;
    this.#hasSigned = true;
    this.#collector.sign(keyDigest(this.#membership.primitives, record));
  }

  #repeatSignature(): Effect[] {
    const own = this.#ownSignature();
    return own === undefined ? [] : this.#sendAll(own);
  }

  #ownSignature(): SettlementMessage | undefined {
    if (!this.#hasSigned || this.#record === undefined) return undefined;
    const statement = keyDigest(this.#membership.primitives, this.#record);
    return { ...this.#name, kind: 'key-signature', statement, by: this.#collector.sign(statement) };
  }

  /** If n - t parties signed exactly the record this party has, it is the key. */
  #settle(): Effect[] {
    const certificate = this.#collector.certificate;
    const record = this.#record;
    if (certificate === undefined || record === undefined) return [];
    if (this.#finished !== undefined) return this.#gainSeeds(this.#finished);
    if (certificate.statement !== keyDigest(this.#membership.primitives, record)) return [];
    this.#downloadDueMs = undefined;
    this.#download = undefined;
    this.#finished = { record, certificate, seeds: this.#seedsOf(record) };
    return [...this.#sealFinished(record, certificate), ...this.#announce(), ...this.#askForSeeds()];
  }

  #seedsOf(record: KeyRecord): KeySeeds | undefined {
    return this.#held?.transcript === record.transcript ? this.#held.seeds : undefined;
  }

  #gainSeeds({ record, certificate, seeds }: FinishedKey): Effect[] {
    const gained = this.#seedsOf(record);
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
    if (!this.#sources.includes(from)) this.#sources.push(from);
    if (holdsSeeds) this.#seeded.add(from);
    const effects = [...this.#settle(), ...this.#closeArchive()];
    if (this.#finished === undefined && this.#download === undefined) {
      this.#downloadDueMs ??= nowMs + DOWNLOAD_DELAY_ROUNDS * this.#roundMs;
    }
    return effects;
  }

  /** Every member has its seeds: the contributions have served. */
  #closeArchive(): Effect[] {
    const archive = this.#held?.archive;
    if (this.#held === undefined || archive === undefined || this.#finished?.seeds === undefined) return [];
    if (!peersOf(this.#membership).every((peer) => this.#seeded.has(peer))) return [];
    archive[Symbol.dispose]();
    this.#held = { ...this.#held, archive: undefined };
    return [{ kind: 'erase', name: archiveName(this.key) }];
  }

  /** Asks the next peer that has the record. */
  #fetch(nowMs: number): Effect[] {
    this.#downloadDueMs = undefined;
    const source = this.#sources.shift();
    if (this.#finished !== undefined || source === undefined) return [];
    this.#sources.push(source);
    this.#download = new RecordDownload(this.key, source);
    return this.#next(this.#download, nowMs);
  }

  #next(download: RecordDownload & { deadlineMs?: number }, nowMs: number): Effect[] {
    download.deadlineMs = nowMs + CHUNK_ROUNDS * this.#roundMs;
    return [this.#send(download.from, { ...this.#name, kind: 'fetch', offset: download.offset })];
  }

  #onChunk(from: PartyId, chunk: Chunk, nowMs: number): Effect[] {
    const download = this.#download;
    if (this.#finished !== undefined || download?.from !== from) return [];
    if (!download.add(chunk)) return this.#fetch(nowMs);
    const bytes = download.complete(chunk.total);
    if (bytes === undefined) return this.#next(download, nowMs);
    const adopted = this.#adopt(bytes);
    return adopted ? this.#settle() : this.#fetch(nowMs);
  }

  /** A record made by others, certified by n - t of them: taken as it is, and nothing else is signed. */
  #adopt(bytes: Uint8Array): boolean {
    const record = decode(keyRecordCodec, bytes);
    if (keyDigest(this.#membership.primitives, record) !== this.#collector.certificate?.statement)
      return false;
    checkRecord(this.#membership, this.key, record);
    this.#record = record;
    return true;
  }

  /** This party has the key and no share of it: every member that holds a set may tell it the values. */
  #askForSeeds(): Effect[] {
    if (this.#finished === undefined || this.#finished.seeds !== undefined) return [];
    const { transcript } = this.#finished.record;
    this.#recovery ??= new SeedArchive(this.#membership, this.key, transcript);
    return this.#recovery.questions.flatMap((question) =>
      this.#sendAll({ ...this.#name, kind: 'archive', body: encode(setupMessage, question) }),
    );
  }

  #onArchive(from: PartyId, body: Uint8Array, nowMs: number): Effect[] {
    const message = decode(setupMessage, body);
    if (message.kind === 'fetch' || message.kind === 'ask') {
      const answer = this.#mayAnswer(from, nowMs) ? this.#held?.archive?.answer(from, message) : undefined;
      if (answer === undefined) return [];
      return [this.#send(from, { ...this.#name, kind: 'archive', body: encode(setupMessage, answer) })];
    }
    const recovery = this.#recovery;
    if (recovery === undefined || this.#finished === undefined || this.#finished.seeds !== undefined)
      return [];
    recovery.learn(message);
    const seeds = recovery.deriveSeeds();
    if (seeds === undefined) return message.kind === 'transcript' ? this.#askForSeeds() : [];
    const { session, transcript } = this.#finished.record;
    this.#held = { transcript, seeds, archive: recovery };
    this.#recovery = undefined;
    const sealed = sealSeeds({ key: this.key, session, archive: recovery, seeds });
    return [...sealed, ...this.#settle(), ...this.#closeArchive()];
  }

  #send(to: PartyId, message: SettlementMessage): Effect {
    return { kind: 'send', to, message: encode(keygenMessage, message) };
  }

  #sendAll(message: SettlementMessage): Effect[] {
    return sendToAll(this.#membership, encode(keygenMessage, message));
  }
}
