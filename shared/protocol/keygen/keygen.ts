import { KmsError } from '../../errors.ts';
import type { Digest, KeyId, PartyId } from '../../ids.ts';
import { decode, encode } from '../../wire/codec.ts';
import { Forgeries } from '../forgeries.ts';
import type { Effect, Machine, Membership } from '../machine.ts';
import { SessionAgreement } from '../session/agreement.ts';
import { KeyAttempt, type KeygenSettings } from './attempt.ts';
import { EarlyMessages } from './early-messages.ts';
import { type KeyFiles, requestName, requestStateCodec } from './files.ts';
import {
  type KeygenMessage,
  keygenMessage,
  type SessionMessage,
  type SettlementMessage,
} from './messages.ts';
import { type KeyRequest, keyIdOf, requestPurpose } from './request.ts';
import { type FinishedKey, KeySettlement } from './settlement.ts';

export type { FinishedKey, KeygenSettings };

/**
 * Distributed key generation for one request, from agreement on a session to a certified key (protocols.md sections 2
 * and 4). A key exists when n - t parties signed the digest of its record: all honest parties end with the same record
 * for a key or none.
 *
 * Every attempt makes a key id of its own. An attempt that has not led to a certified key by its deadline is followed by
 * the next; what this party signed or holds seeds for in it may still be certified by the others, and is honoured then: a
 * late certificate makes a further key, never a second record for one. The first certified key settles the request.
 */
export class KeyGeneration implements Machine {
  readonly purpose: Digest;
  readonly request: KeyRequest;
  readonly #membership: Membership;
  readonly #settings: KeygenSettings;
  readonly #forgeries = new Forgeries();
  readonly #early = new EarlyMessages();
  readonly #settlements = new Map<KeyId, KeySettlement>();
  readonly #culprits = new Set<PartyId>();
  #agreement: SessionAgreement;
  #attempt: KeyAttempt | undefined;
  #finished: KeySettlement | undefined;
  #isFollower = false;

  constructor(membership: Membership, request: KeyRequest, settings: KeygenSettings) {
    this.#membership = this.#forgeries.watch(membership);
    this.request = request;
    this.#settings = settings;
    this.purpose = requestPurpose(membership, request);
    this.#agreement = this.#newAgreement(0);
  }

  /** Continues from what this party has made durable, of all attempts of one request; speaks in new sessions only. */
  static resume(
    membership: Membership,
    attempts: readonly KeyFiles[],
    settings: KeygenSettings,
  ): KeyGeneration {
    const [first] = attempts;
    if (first === undefined) throw new KmsError('INTERNAL', 'nothing to resume');
    const machine = new KeyGeneration(membership, first.state.request, settings);
    machine.#agreement = machine.#newAgreement(1 + Math.max(...attempts.map((files) => files.state.attempt)));
    for (const files of attempts) {
      const settlement = KeySettlement.restore(machine.#membership, files, settings.roundMs);
      machine.#settlements.set(files.state.key, settlement);
      if (settlement.finished !== undefined) machine.#finished ??= settlement;
    }
    return machine;
  }

  /**
   * For a member that was never asked for this key: takes and serves it once others have certified it, and starts nothing
   * of its own.
   */
  static follow(membership: Membership, request: KeyRequest, settings: KeygenSettings): KeyGeneration {
    const machine = new KeyGeneration(membership, request, settings);
    machine.#isFollower = true;
    return machine;
  }

  /** Takes part from now on: this member has been asked for the key as well. */
  join(nowMs: number): Effect[] {
    if (!this.#isFollower || this.#finished !== undefined) return [];
    this.#isFollower = false;
    return this.#agree(this.#agreement.start(nowMs), nowMs);
  }

  /** What introduces a certified key of this request to another member. */
  introductions(): readonly Uint8Array[] {
    return this.certified.map(({ record, certificate }) => {
      const { key, attempt } = record;
      return encode(keygenMessage, {
        kind: 'introduction',
        key,
        attempt,
        request: this.request,
        certificate,
      });
    });
  }

  /** The key that settled the request. */
  get finished(): FinishedKey | undefined {
    return this.#finished?.finished;
  }

  /** Every certified key of the request: one, unless others certified an attempt that this party had given up. */
  get certified(): readonly FinishedKey[] {
    return [...this.#settlements.values()].flatMap(({ finished }) => finished ?? []);
  }

  /** Parties that sent a signed wrong share in any attempt of this process life. */
  get culprits(): readonly PartyId[] {
    return [...new Set([...this.#culprits, ...(this.#attempt?.culprits ?? [])])].sort((a, b) => a - b);
  }

  /** Keys this party has signed and that are not certified as far as it knows. */
  get pending(): readonly KeyId[] {
    const signed = [...this.#settlements.values()].filter(
      (one) => one.hasSigned && one.finished === undefined,
    );
    return signed.map(({ key }) => key);
  }

  /** How far this request is, in steps: agreement, seeds, every opening, certificate. */
  get progress(): { readonly phase: string; readonly done: number; readonly total: number } {
    const { done, total: steps } = this.#attempt?.progress ?? { done: 0, total: 2 };
    const total = steps + 2;
    if (this.#finished !== undefined) return { phase: 'done', done: total, total };
    if (this.#attempt === undefined) return { phase: 'agreeing on a session', done: 0, total };
    if (done === 0) return { phase: 'setting up seeds', done: 1, total };
    if (done === steps) return { phase: 'certifying the key', done: total - 1, total };
    return { phase: 'opening key elements', done: 1 + done, total };
  }

  get nextWakeMs(): number | undefined {
    const wakes: (number | undefined)[] = [...this.#settlements.values()].map((one) => one.nextWakeMs);
    if (this.#isFollower) return minimum(wakes);
    if (this.#finished === undefined) wakes.push((this.#attempt ?? this.#agreement).nextWakeMs);
    else wakes.push(this.#attempt?.deadlineMs);
    return minimum(wakes);
  }

  start(nowMs: number): Effect[] {
    const effects = [...this.#settlements.values()].flatMap((settlement) => settlement.start(nowMs));
    // What an earlier life had no time to erase.
    if (this.#finished !== undefined) return [...effects, ...this.#abandonOthers()];
    if (this.#isFollower) return effects;
    return [...effects, ...this.#agree(this.#agreement.start(nowMs), nowMs)];
  }

  receive(from: PartyId, message: Uint8Array, nowMs: number): Effect[] {
    const handle = (): Effect[] => this.#handle(from, decode(keygenMessage, message), message.length, nowMs);
    return this.#forgeries.hear(from, nowMs, () => this.#guard(nowMs, handle)) ?? [];
  }

  tick(nowMs: number): Effect[] {
    const effects = [...this.#settlements.values()].flatMap((settlement) => settlement.tick(nowMs));
    if (this.#finished !== undefined) {
      if (this.#attempt !== undefined && nowMs >= this.#attempt.deadlineMs) this.#endAttempt();
      return effects;
    }
    if (this.#isFollower) return this.#settled(effects);
    const step = this.#guard(nowMs, () => {
      if (this.#attempt === undefined) return this.#agree(this.#agreement.tick(nowMs), nowMs);
      if (nowMs >= this.#attempt.deadlineMs) return this.#giveUp(nowMs);
      return this.#advance(this.#attempt.tick(nowMs), nowMs);
    });
    return [...effects, ...step];
  }

  /** A setup that cannot succeed ends its attempt. Whatever else a message makes go wrong, only the message is lost. */
  #guard(nowMs: number, step: () => Effect[]): Effect[] {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof KmsError) || error.code === 'INTERNAL') throw error;
      return error.code === 'SETUP_ABORTED' ? this.#giveUp(nowMs) : [];
    }
  }

  #newAgreement(firstAttempt: number): SessionAgreement {
    const { roundMs, rng } = this.#settings;
    return new SessionAgreement(this.#membership, { purpose: this.purpose, roundMs, firstAttempt }, rng);
  }

  #handle(from: PartyId, message: KeygenMessage, sizeBytes: number, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'agreement':
        // Who still looks for a session has missed that the request is settled.
        if (this.#finished !== undefined) return this.#tell(from, nowMs);
        if (this.#isFollower) return [];
        return this.#agree(this.#agreement.receive(from, message.body, nowMs), nowMs);
      case 'setup':
      case 'share':
      case 'round-one':
      case 'round-one-certificate':
        if (this.#attempt !== undefined) return this.#inSession(this.#attempt, from, message, nowMs);
        if (this.#finished === undefined && !this.#isFollower) this.#early.keep(from, message, sizeBytes);
        return [];
      default:
        return this.#settled(this.#settlementFor(message)?.receive(from, message, nowMs) ?? []);
    }
  }

  /** Once the request is settled, late messages of its session still show culprits and help slower parties. */
  #inSession(attempt: KeyAttempt, from: PartyId, message: SessionMessage, nowMs: number): Effect[] {
    const effects = attempt.receive(from, message, nowMs);
    if (this.#finished === undefined) return this.#advance(effects, nowMs);
    if (attempt.hasHeardAll) this.#endAttempt();
    return effects;
  }

  #tell(to: PartyId, nowMs: number): Effect[] {
    if (this.#finished === undefined) return [];
    const { key, attempt } = this.#finished;
    return this.#finished.receive(to, { kind: 'query', key, attempt }, nowMs);
  }

  /** The settlement a message is about. One that this party knows nothing of begins with a valid certificate only. */
  #settlementFor(message: SettlementMessage): KeySettlement | undefined {
    const known = this.#settlements.get(message.key);
    if (known !== undefined) return known;
    if (message.kind !== 'key-certificate' && message.kind !== 'introduction') return undefined;
    if (keyIdOf(this.#membership, this.purpose, message.attempt) !== message.key) return undefined;
    const fresh = new KeySettlement(this.#membership, this.request, message, this.#settings.roundMs);
    if (!fresh.wouldAccept(message.certificate)) return undefined;
    this.#settlements.set(message.key, fresh);
    return fresh;
  }

  /** Notes whether the request is settled by now. */
  #settled(effects: Effect[]): Effect[] {
    if (this.#finished !== undefined) return effects;
    this.#finished = [...this.#settlements.values()].find(({ finished }) => finished !== undefined);
    if (this.#finished === undefined) return effects;
    return [...effects, ...this.#abandonOthers()];
  }

  #abandonOthers(): Effect[] {
    if (this.#attempt?.key !== this.#finished?.key || this.#attempt?.hasHeardAll) this.#endAttempt();
    this.#early.clear();
    const others = [...this.#settlements.values()].filter((one) => one !== this.#finished);
    return others.flatMap((settlement) => settlement.abandon());
  }

  /** Sends what the agreement asks for and joins the session once there is one. */
  #agree(effects: readonly Effect[], nowMs: number): Effect[] {
    const wrapped = effects.map((effect): Effect => {
      if (effect.kind !== 'send') return effect;
      const message: KeygenMessage = { kind: 'agreement', body: effect.message };
      return { ...effect, message: encode(keygenMessage, message) };
    });
    const { session } = this.#agreement;
    if (this.#attempt !== undefined)
      return this.#agreement.isRefuted ? [...wrapped, ...this.#giveUp(nowMs)] : wrapped;
    if (session === undefined) return wrapped;
    const key = keyIdOf(this.#membership, this.purpose, session.attempt);
    const { attempt: number } = session;
    this.#attempt = new KeyAttempt(this.#membership, this.request, key, session, this.#settings);
    this.#settlements.set(
      key,
      new KeySettlement(this.#membership, this.request, { key, attempt: number }, this.#settings.roundMs),
    );
    const state = encode(requestStateCodec, { request: this.request, key, attempt: number });
    return [
      // Before anything is said in this session: a restart must find that the attempt is taken.
      { kind: 'persist', name: requestName(key), record: state },
      ...wrapped,
      ...this.#advance(this.#attempt.start(nowMs), nowMs),
      ...this.#replayEarly(nowMs),
    ];
  }

  #replayEarly(nowMs: number): Effect[] {
    return this.#early.take().flatMap(([from, message]) => {
      const attempt = this.#attempt;
      if (attempt === undefined) return [];
      const receive = (): Effect[] => this.#advance(attempt.receive(from, message, nowMs), nowMs);
      return this.#forgeries.hear(from, nowMs, () => this.#guard(nowMs, receive)) ?? [];
    });
  }

  /** Hands what the attempt has reached to the settlement of its key. */
  #advance(effects: Effect[], nowMs: number): Effect[] {
    const attempt = this.#attempt;
    const settlement = attempt && this.#settlements.get(attempt.key);
    if (attempt === undefined || settlement === undefined) return effects;
    const held = attempt.held === undefined ? [] : settlement.hold(attempt.held, nowMs);
    const record = settlement.hasSigned ? undefined : attempt.record;
    const signed = record === undefined ? [] : settlement.sign(record);
    return this.#settled([...effects, ...held, ...signed]);
  }

  #endAttempt(): void {
    for (const culprit of this.#attempt?.culprits ?? []) this.#culprits.add(culprit);
    this.#attempt?.[Symbol.dispose]();
    this.#attempt = undefined;
  }

  #giveUp(nowMs: number): Effect[] {
    const attempt = this.#attempt;
    if (attempt === undefined) return [];
    this.#endAttempt();
    if (this.#finished !== undefined) return [];
    this.#agreement = this.#newAgreement(attempt.session.attempt + 1);
    return this.#agree(this.#agreement.start(nowMs), nowMs);
  }
}

function minimum(wakes: readonly (number | undefined)[]): number | undefined {
  const known = wakes.filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
