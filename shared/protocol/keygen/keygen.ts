import { KmsError } from '../../errors.ts';
import { presetByName } from '../../fhe/presets.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import type { Kernel } from '../../math/kernel/kernel.ts';
import { decode, encode } from '../../wire/codec.ts';
import { type Certificate, CertificateCollector, keyScope } from '../certificate.ts';
import { type Effect, type Machine, type Membership, type Rng, sendToAll } from '../machine.ts';
import { KeySeeds } from '../prss/seeds.ts';
import { SessionAgreement } from '../session/agreement.ts';
import { SeedSetup, seedRecordName } from '../setup/setup.ts';
import { type Chunk, chunkAt, RecordDownload } from './download.ts';
import {
  certificateName,
  encodeCertificate,
  type KeyFiles,
  recordName,
  requestName,
  requestStateCodec,
} from './files.ts';
import { Generation } from './generation.ts';
import { type KeygenMessage, keygenMessage } from './messages.ts';
import { type CertifiedKey, checkRecord, type KeyRecord, keyDigest, keyRecordCodec } from './record.ts';
import { type KeyRequest, keyIdOf, requestPurpose } from './request.ts';

export interface KeygenSettings {
  readonly kernel: Kernel;
  readonly rng: Rng;
  /** D: network bound plus clock error. */
  readonly roundMs: number;
  /** How long the openings of an attempt may take before the next attempt. */
  readonly openingMs: number;
}

export interface FinishedKey extends CertifiedKey {
  /** Undefined when this party never got its seeds: it holds no share of this key. */
  readonly seeds: KeySeeds | undefined;
}

interface Attempt {
  readonly key: KeyId;
  readonly sessionId: Digest;
  readonly deadlineMs: number;
  readonly setup: SeedSetup;
  readonly generation: Generation;
  hasBegun: boolean;
}

/** Bytes of messages for a session this party has not joined yet, per peer; more are dropped. */
const MAX_EARLY_BYTES = 64 << 20;
/** A party that has signed joins no attempt any more: the others may certify one that is this much later. */
const MAX_ATTEMPTS_AHEAD = 64;

/**
 * Distributed key generation for one request, from agreement on a session to a certified key (protocols.md sections 2
 * and 4). A key exists when n - t parties signed the digest of its record: all honest parties end with the same
 * certified key or none.
 *
 * An attempt may be given up until this party has signed a key record; each attempt makes a key id of its own. A party
 * that has signed joins no further attempt, so two attempts never both certify. What was given up can still be adopted
 * if the others certified it: the seeds are kept until the request is settled.
 */
export class KeyGeneration implements Machine {
  readonly purpose: Digest;
  readonly request: KeyRequest;
  readonly #membership: Membership;
  readonly #settings: KeygenSettings;
  readonly #early = new Map<PartyId, { message: KeygenMessage; sizeBytes: number }[]>();
  /** Seeds of attempts that this process or an earlier one gave up, by key. */
  readonly #kept = new Map<KeyId, { transcript: Digest; seeds: KeySeeds }>();
  readonly #collectors = new Map<KeyId, CertificateCollector>();
  #agreement: SessionAgreement;
  #attempt: Attempt | undefined;
  #signed: { readonly key: KeyId; readonly record: KeyRecord; readonly statement: Digest } | undefined;
  /** A certified record of others that this party's seeds are still missing for. */
  #adopted: KeyRecord | undefined;
  #finished: FinishedKey | undefined;
  /** Peers that hold the finished key: once all do, nobody needs this party's contributions any more. */
  readonly #settled = new Set<PartyId>();
  readonly #culprits = new Set<PartyId>();
  #nextQueryMs: number | undefined;
  #download: RecordDownload | undefined;
  /** The finished record as it is served to peers. */
  #encoded: Uint8Array | undefined;

  constructor(membership: Membership, request: KeyRequest, settings: KeygenSettings) {
    this.#membership = membership;
    this.request = request;
    this.#settings = settings;
    this.purpose = requestPurpose(membership, request);
    this.#agreement = this.#newAgreement(0);
  }

  /**
   * Continues from what this party has made durable, of all attempts of one request. It repeats exactly the signature
   * it gave, or speaks in new sessions only.
   */
  static resume(
    membership: Membership,
    attempts: readonly KeyFiles[],
    settings: KeygenSettings,
  ): KeyGeneration {
    const [first] = attempts;
    if (first === undefined) throw new KmsError('INTERNAL', 'nothing to resume');
    const machine = new KeyGeneration(membership, first.state.request, settings);
    machine.#agreement = machine.#newAgreement(1 + Math.max(...attempts.map((files) => files.state.attempt)));
    // A settled attempt first: what is left of the others is then erased at the start.
    const rank = ({ certificate }: KeyFiles): number => (certificate === undefined ? 1 : 0);
    for (const files of [...attempts].sort((a, b) => rank(a) - rank(b))) machine.#restore(files);
    return machine;
  }

  #restore({ state: { key }, seeds, record, certificate }: KeyFiles): void {
    const { committee, self, primitives } = this.#membership;
    if (seeds !== undefined) {
      this.#kept.set(key, {
        transcript: seeds.transcript,
        seeds: new KeySeeds(committee, self, seeds.seeds),
      });
    }
    if (certificate !== undefined) this.#collector(key).adopt(certificate);
    if (record === undefined) return;
    if (certificate === undefined) {
      this.#signed = { key, record, statement: keyDigest(primitives, record) };
    } else {
      this.#settle(record, Number.POSITIVE_INFINITY);
    }
  }

  get finished(): FinishedKey | undefined {
    return this.#finished;
  }

  /** Parties that sent a signed wrong share in any attempt of this process life. */
  get culprits(): readonly PartyId[] {
    const now = this.#attempt?.generation.culprits ?? [];
    return [...new Set([...this.#culprits, ...now])].sort((a, b) => a - b);
  }

  /** The key this party has signed and waits for others to sign. */
  get pending(): KeyId | undefined {
    return this.#finished === undefined ? this.#signed?.key : undefined;
  }

  /** How far this request is, in steps: agreement, seeds, every opening, certificate. */
  get progress(): { readonly phase: string; readonly done: number; readonly total: number } {
    const opening = this.#attempt?.generation.progress ?? { done: 0, total: 1 };
    const total = opening.total + 3;
    if (this.#finished !== undefined) return { phase: 'done', done: total, total };
    if (this.#signed !== undefined) return { phase: 'certifying the key', done: total - 1, total };
    if (this.#attempt === undefined) return { phase: 'agreeing on a session', done: 0, total };
    if (!this.#attempt.hasBegun) return { phase: 'setting up seeds', done: 1, total };
    return { phase: 'opening key elements', done: 2 + opening.done, total };
  }

  get nextWakeMs(): number | undefined {
    if (this.#finished !== undefined) return this.#attempt?.deadlineMs;
    const wakes = [this.#nextQueryMs];
    if (this.#attempt !== undefined) {
      wakes.push(this.#attempt.setup.nextWakeMs);
      if (this.#signed === undefined) wakes.push(this.#attempt.deadlineMs);
    } else if (this.#signed === undefined) wakes.push(this.#agreement.nextWakeMs);
    const known = wakes.filter((ms) => ms !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  start(nowMs: number): Effect[] {
    // What an earlier life had no time to erase.
    if (this.#finished !== undefined) return this.#forgetOthers(this.#finished.record.key);
    const effects = this.#query(nowMs);
    if (this.#signed !== undefined) return [...effects, ...this.#repeatSignature()];
    return [...effects, ...this.#agree(this.#agreement.start(nowMs), nowMs)];
  }

  receive(from: PartyId, message: Uint8Array, nowMs: number): Effect[] {
    return this.#guard(nowMs, () =>
      this.#handle(from, decode(keygenMessage, message), message.length, nowMs),
    );
  }

  tick(nowMs: number): Effect[] {
    if (this.#finished !== undefined) {
      if (this.#attempt !== undefined && nowMs >= this.#attempt.deadlineMs) this.#endAttempt();
      return [];
    }
    return this.#guard(nowMs, () => {
      const effects = this.#nextQueryMs !== undefined && nowMs >= this.#nextQueryMs ? this.#query(nowMs) : [];
      if (this.#attempt !== undefined) {
        if (this.#signed === undefined && nowMs >= this.#attempt.deadlineMs)
          return [...effects, ...this.#giveUp(nowMs)];
        const { sessionId, setup } = this.#attempt;
        effects.push(...this.#wrapSetup(sessionId, setup.tick(nowMs)), ...this.#advance(nowMs));
      } else if (this.#signed === undefined) {
        effects.push(...this.#agree(this.#agreement.tick(nowMs), nowMs));
      }
      return effects;
    });
  }

  /** A setup that cannot succeed ends the attempt; everything else a peer can cause ends nothing. */
  #guard(nowMs: number, step: () => Effect[]): Effect[] {
    try {
      return step();
    } catch (error) {
      if (error instanceof KmsError && error.code === 'SETUP_ABORTED') return this.#giveUp(nowMs);
      if (error instanceof KmsError && error.code === 'BAD_ENCODING') return [];
      throw error;
    }
  }

  #newAgreement(firstAttempt: number): SessionAgreement {
    const { roundMs, rng } = this.#settings;
    return new SessionAgreement(this.#membership, { purpose: this.purpose, roundMs, firstAttempt }, rng);
  }

  #collector(key: KeyId): CertificateCollector {
    const known = this.#collectors.get(key) ?? new CertificateCollector(this.#membership, keyScope(key));
    this.#collectors.set(key, known);
    return known;
  }

  #handle(from: PartyId, message: KeygenMessage, sizeBytes: number, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'query':
        return this.#answer(from, message.key);
      case 'fetch':
        return this.#serve(from, message.key, message.offset);
      case 'key-signature':
        if (!this.#isOurs(message.key) || message.by.party !== from) return [];
        this.#collector(message.key).add(message.statement, message.by);
        return this.#settleSigned(nowMs);
      case 'key-certificate':
        return this.#onCertificate(from, message.key, message.certificate, nowMs);
      case 'chunk':
        return this.#onChunk(from, message.key, message, nowMs);
      case 'agreement':
        if (this.#attempt !== undefined || this.#signed !== undefined || this.#finished !== undefined) {
          return this.#finished === undefined ? [] : this.#answer(from, this.#finished.record.key);
        }
        return this.#agree(this.#agreement.receive(from, message.body, nowMs), nowMs);
      default:
        return this.#inSession(from, message, sizeBytes, nowMs);
    }
  }

  #inSession(
    from: PartyId,
    message: Extract<KeygenMessage, { session: Digest }>,
    sizeBytes: number,
    nowMs: number,
  ): Effect[] {
    const attempt = this.#attempt;
    if (attempt === undefined) {
      if (this.#finished === undefined && this.#signed === undefined)
        this.#keepEarly(from, message, sizeBytes);
      return [];
    }
    if (message.session !== attempt.sessionId) return [];
    const { generation, setup, sessionId } = attempt;
    switch (message.kind) {
      case 'setup': {
        const effects = this.#wrapSetup(sessionId, setup.receive(from, message.body, nowMs));
        return [...effects, ...this.#advance(nowMs)];
      }
      case 'share':
        return this.#advanceAfter(
          generation.receiveShare(from, message.name, message.share, message.signature),
          nowMs,
        );
      case 'round-one':
        return this.#advanceAfter(generation.receiveRoundOne(from, message.statement, message.by), nowMs);
      case 'round-one-certificate':
        return this.#advanceAfter(generation.receiveRoundOneCertificate(message.certificate), nowMs);
    }
  }

  #advanceAfter(effects: Effect[], nowMs: number): Effect[] {
    return [...effects, ...this.#advance(nowMs)];
  }

  #keepEarly(from: PartyId, message: KeygenMessage, sizeBytes: number): void {
    const kept = this.#early.get(from) ?? [];
    const total = kept.reduce((sum, one) => sum + one.sizeBytes, 0);
    if (total + sizeBytes <= MAX_EARLY_BYTES) this.#early.set(from, [...kept, { message, sizeBytes }]);
  }

  /** Sends what the agreement asks for and joins the session once there is one. */
  #agree(effects: readonly Effect[], nowMs: number): Effect[] {
    const wrapped = effects.map((effect): Effect => {
      if (effect.kind !== 'send') return effect;
      const message: KeygenMessage = { kind: 'agreement', body: effect.message };
      return { ...effect, message: encode(keygenMessage, message) };
    });
    const session = this.#agreement.session;
    if (session === undefined || this.#attempt !== undefined) return wrapped;
    const key = keyIdOf(this.#membership, this.purpose, session.attempt);
    const { roundMs, openingMs, kernel, rng } = this.#settings;
    const setup = new SeedSetup(this.#membership, { session, key, roundMs }, rng);
    const preset = presetByName(this.request.preset);
    const context = { request: this.request, preset, key, session, kernel, rng };
    const generation = new Generation(this.#membership, context);
    const scheduleMs = (2 * (this.#membership.committee.t + 3) + 4) * roundMs;
    const deadlineMs = session.startMs + scheduleMs + openingMs;
    this.#attempt = { key, sessionId: session.id, deadlineMs, setup, generation, hasBegun: false };
    this.#nextQueryMs = deadlineMs;
    const state = encode(requestStateCodec, { request: this.request, key, attempt: session.attempt });
    return [
      ...wrapped,
      { kind: 'persist', name: requestName(key), record: state },
      ...this.#wrapSetup(session.id, setup.start(nowMs)),
      ...this.#replayEarly(session.id, nowMs),
      ...this.#advance(nowMs),
    ];
  }

  #replayEarly(session: Digest, nowMs: number): Effect[] {
    const early = [...this.#early];
    this.#early.clear();
    return early.flatMap(([from, kept]) =>
      kept.flatMap(({ message, sizeBytes }) =>
        'session' in message && message.session === session
          ? this.#inSession(from, message, sizeBytes, nowMs)
          : [],
      ),
    );
  }

  #wrapSetup(session: Digest, effects: readonly Effect[]): Effect[] {
    return effects.map((effect) => {
      if (effect.kind !== 'send') return effect;
      const message: KeygenMessage = { kind: 'setup', session, body: effect.message };
      return { ...effect, message: encode(keygenMessage, message) };
    });
  }

  #advance(nowMs: number): Effect[] {
    const attempt = this.#attempt;
    if (attempt === undefined || this.#finished !== undefined) return [];
    if (this.#adopted?.key === attempt.key) return this.#settle(this.#adopted, nowMs);
    const effects: Effect[] = [];
    const seeded = attempt.setup.output;
    if (seeded !== undefined && !attempt.hasBegun) {
      attempt.hasBegun = true;
      this.#kept.set(attempt.key, seeded);
      effects.push(...attempt.generation.begin(seeded));
    }
    const record = this.#signed === undefined ? attempt.generation.record : undefined;
    if (record !== undefined) effects.push(...this.#sign(record, nowMs));
    return effects;
  }

  /** Durable before spoken: the record, and with the seeds everything needed to honour it, then the signature. */
  #sign(record: KeyRecord, nowMs: number): Effect[] {
    const statement = keyDigest(this.#membership.primitives, record);
    this.#signed = { key: record.key, record, statement };
    this.#nextQueryMs = nowMs + 4 * this.#settings.roundMs;
    const by = this.#collector(record.key).sign(statement);
    const sealed = encode(keyRecordCodec, record);
    return [
      { kind: 'persist', name: recordName(record.key), record: sealed },
      ...this.#sendAll({ kind: 'key-signature', key: record.key, statement, by }),
      ...this.#settleSigned(nowMs),
    ];
  }

  #repeatSignature(): Effect[] {
    if (this.#signed === undefined) return [];
    const { key, statement } = this.#signed;
    const by = this.#collector(key).sign(statement);
    return this.#sendAll({ kind: 'key-signature', key, statement, by });
  }

  #settleSigned(nowMs: number): Effect[] {
    return this.#signed === undefined ? [] : this.#settle(this.#signed.record, nowMs);
  }

  /**
   * If n - t parties signed exactly this record, it is the key. A party whose seeds are still on their way waits for
   * them until its attempt is over.
   */
  #settle(record: KeyRecord, nowMs: number): Effect[] {
    const certificate = this.#collector(record.key).certificate;
    if (this.#finished !== undefined || certificate === undefined) return [];
    if (certificate.statement !== keyDigest(this.#membership.primitives, record)) return [];
    const ofAttempt = this.#attempt?.key === record.key ? this.#attempt : undefined;
    const kept = this.#kept.get(record.key) ?? ofAttempt?.setup.held;
    const seeds = kept?.transcript === record.transcript ? kept.seeds : undefined;
    if (seeds === undefined && ofAttempt !== undefined && nowMs < ofAttempt.deadlineMs) {
      this.#adopted = record;
      return [];
    }
    this.#finished = { record, certificate, seeds };
    // An adopted record goes to disk behind its certificate, so that a restart never takes it for one it signed. A party
    // that was not in the session has not written that it knows of this attempt either.
    const { key, attempt } = record;
    const state = encode(requestStateCodec, { request: this.request, key, attempt });
    const adopted: Effect[] =
      this.#signed?.statement === certificate.statement
        ? []
        : [
            { kind: 'persist', name: requestName(key), record: state },
            { kind: 'persist', name: recordName(key), record: encode(keyRecordCodec, record) },
          ];
    return [
      { kind: 'persist', name: certificateName(record.key), record: encodeCertificate(certificate) },
      ...adopted,
      ...this.#forgetOthers(record.key),
      ...this.#sendAll({ kind: 'key-certificate', key: record.key, certificate }),
    ];
  }

  /** The request is settled: seeds of other attempts go. */
  #forgetOthers(winner: KeyId): Effect[] {
    if (this.#attempt?.key !== winner) this.#endAttempt();
    this.#early.clear();
    const losers = [...this.#kept.keys()].filter((key) => key !== winner);
    for (const key of losers) {
      this.#kept.get(key)?.seeds[Symbol.dispose]();
      this.#kept.delete(key);
    }
    return losers.flatMap((key) => [
      { kind: 'erase', name: seedRecordName(key) },
      { kind: 'erase', name: requestName(key) },
    ]);
  }

  /** Contributions and working shares are erased; until then slower peers may still ask for theirs. */
  #endAttempt(): void {
    for (const culprit of this.#attempt?.generation.culprits ?? []) this.#culprits.add(culprit);
    this.#attempt?.setup[Symbol.dispose]();
    this.#attempt?.generation[Symbol.dispose]();
    this.#attempt = undefined;
  }

  #giveUp(nowMs: number): Effect[] {
    const attempt = this.#attempt;
    if (attempt === undefined || this.#signed !== undefined) return [];
    const next = this.#agreement.session?.attempt ?? this.#agreement.attempt;
    const { held } = attempt.setup;
    if (held !== undefined) this.#kept.set(attempt.key, held);
    this.#endAttempt();
    if (this.#adopted !== undefined) return this.#settle(this.#adopted, nowMs);
    this.#agreement = this.#newAgreement(next + 1);
    return this.#agree(this.#agreement.start(nowMs), nowMs);
  }

  /** Key ids of this request: of the attempts so far and of those that others may have made meanwhile. */
  #isOurs(key: KeyId): boolean {
    for (let attempt = 0; attempt <= this.#agreement.attempt + MAX_ATTEMPTS_AHEAD; attempt++) {
      if (keyIdOf(this.#membership, this.purpose, attempt) === key) return true;
    }
    return false;
  }

  #query(nowMs: number): Effect[] {
    this.#nextQueryMs = nowMs + 8 * this.#settings.roundMs;
    const keys = new Set([...this.#kept.keys(), ...(this.#signed ? [this.#signed.key] : [])]);
    return [...keys].flatMap((key) => this.#sendAll({ kind: 'query', key }));
  }

  #answer(from: PartyId, key: KeyId): Effect[] {
    if (this.#finished !== undefined) {
      const { record, certificate } = this.#finished;
      return [this.#send(from, { kind: 'key-certificate', key: record.key, certificate })];
    }
    if (this.#signed?.key !== key) return [];
    const { statement } = this.#signed;
    return [
      this.#send(from, { kind: 'key-signature', key, statement, by: this.#collector(key).sign(statement) }),
    ];
  }

  #serve(from: PartyId, key: KeyId, offset: number): Effect[] {
    if (this.#finished?.record.key !== key) return [];
    this.#encoded ??= encode(keyRecordCodec, this.#finished.record);
    return [this.#send(from, { kind: 'chunk', key, ...chunkAt(this.#encoded, offset) })];
  }

  #onCertificate(from: PartyId, key: KeyId, certificate: Certificate, nowMs: number): Effect[] {
    if (!this.#isOurs(key) || !this.#collector(key).adopt(certificate)) return [];
    this.#settled.add(from);
    const settled = this.#settleSigned(nowMs);
    if (this.#finished !== undefined) {
      if (this.#settled.size >= this.#membership.committee.n - 1) this.#endAttempt();
      return settled;
    }
    if (this.#adopted?.key === key) return settled;
    this.#download = new RecordDownload(key, from);
    return [this.#send(from, { kind: 'fetch', key, offset: 0 })];
  }

  #onChunk(from: PartyId, key: KeyId, chunk: Chunk, nowMs: number): Effect[] {
    const download = this.#download;
    if (this.#finished !== undefined || download?.key !== key || download.from !== from) return [];
    if (!download.add(chunk)) {
      this.#download = undefined;
      return [];
    }
    const bytes = download.complete(chunk.total);
    if (bytes === undefined) return [this.#send(from, { kind: 'fetch', key, offset: download.offset })];
    this.#download = undefined;
    return this.#adopt(key, bytes, nowMs);
  }

  /** A record made by others, certified by n - t of them: taken as it is, and nothing else is signed. */
  #adopt(key: KeyId, bytes: Uint8Array, nowMs: number): Effect[] {
    const certified = this.#collectors.get(key)?.certificate?.statement;
    if (this.#finished !== undefined || certified === undefined) return [];
    const record = decode(keyRecordCodec, bytes);
    if (keyDigest(this.#membership.primitives, record) !== certified) return [];
    checkRecord(this.#membership, key, record);
    return this.#settle(record, nowMs);
  }

  #send(to: PartyId, message: KeygenMessage): Effect {
    return { kind: 'send', to, message: encode(keygenMessage, message) };
  }

  #sendAll(message: KeygenMessage): Effect[] {
    return sendToAll(this.#membership, encode(keygenMessage, message));
  }
}
