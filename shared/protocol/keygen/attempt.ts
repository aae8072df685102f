import { presetByName } from '../../fhe/presets.ts';
import type { KeyId, PartyId } from '../../ids.ts';
import type { Kernel } from '../../math/kernel/kernel.ts';
import { encode } from '../../wire/codec.ts';
import type { Effect, Membership, Rng } from '../machine.ts';
import type { Session } from '../session/agreement.ts';
import { type HeldSeeds, SeedSetup } from '../setup/setup.ts';
import { Generation } from './generation.ts';
import { keygenMessage, type SessionMessage } from './messages.ts';
import type { KeyRecord } from './record.ts';
import type { KeyRequest } from './request.ts';

export interface KeygenSettings {
  readonly kernel: Kernel;
  readonly rng: Rng;
  /** D: network bound plus clock error. */
  readonly roundMs: number;
  /** How long the openings of an attempt may take before the next attempt. */
  readonly openingMs: number;
}

/** One session of a key request: seed setup, then the openings. Its end is the deadline, or a record to sign. */
export class KeyAttempt {
  readonly key: KeyId;
  readonly session: Session;
  readonly deadlineMs: number;
  readonly #setup: SeedSetup;
  readonly #generation: Generation;
  #hasBegun = false;

  constructor(
    membership: Membership,
    request: KeyRequest,
    key: KeyId,
    session: Session,
    settings: KeygenSettings,
  ) {
    const { roundMs, openingMs, kernel, rng } = settings;
    this.key = key;
    this.session = session;
    // Two broadcasts of t + 3 rounds, three rounds between them, four for whoever waits for a certificate.
    this.deadlineMs = session.startMs + (2 * (membership.committee.t + 3) + 7) * roundMs + openingMs;
    this.#setup = new SeedSetup(membership, { session, key, roundMs }, rng);
    const preset = presetByName(request.preset);
    this.#generation = new Generation(membership, { request, preset, key, session, kernel, rng });
  }

  get nextWakeMs(): number {
    if (this.#generation.hasWork) return 0;
    return Math.min(this.deadlineMs, this.#setup.nextWakeMs ?? this.deadlineMs);
  }

  /** The complete record, once everything is opened and this party took part. */
  get record(): KeyRecord | undefined {
    return this.#generation.record;
  }

  /** Seeds this party has made durable in this session. */
  get held(): HeldSeeds | undefined {
    return this.#setup.held;
  }

  /** Has every participant sent its share of everything? */
  get hasHeardAll(): boolean {
    return this.#generation.hasHeardAll;
  }

  get culprits(): readonly PartyId[] {
    return this.#generation.culprits;
  }

  /** Steps done and in all: the setup counts for one. */
  get progress(): { readonly done: number; readonly total: number } {
    const { done, total } = this.#generation.progress;
    return { done: this.#hasBegun ? 1 + done : 0, total: 1 + total };
  }

  start(nowMs: number): Effect[] {
    return [...this.#wrap(this.#setup.start(nowMs)), ...this.#advance()];
  }

  /** @throws {KmsError} SETUP_ABORTED when this session cannot succeed; BAD_ENCODING */
  tick(nowMs: number): Effect[] {
    return [...this.#wrap(this.#setup.tick(nowMs)), ...this.#advance(), ...this.#generation.work()];
  }

  /** @throws {KmsError} SETUP_ABORTED, BAD_ENCODING */
  receive(from: PartyId, message: SessionMessage, nowMs: number): Effect[] {
    if (message.session !== this.session.id) return [];
    return [...this.#handle(from, message, nowMs), ...this.#advance()];
  }

  /** Erases contributions and working shares. What `held` gave out belongs to its taker. */
  [Symbol.dispose](): void {
    this.#setup[Symbol.dispose]();
    this.#generation[Symbol.dispose]();
  }

  #handle(from: PartyId, message: SessionMessage, nowMs: number): Effect[] {
    switch (message.kind) {
      case 'setup':
        return this.#wrap(this.#setup.receive(from, message.body, nowMs));
      case 'share':
        return this.#generation.receiveShare(from, message.name, message.share, message.signature);
      case 'round-one':
        return this.#generation.receiveRoundOne(from, message.statement, message.by);
      case 'round-one-certificate':
        return this.#generation.receiveRoundOneCertificate(message.certificate);
    }
  }

  #advance(): Effect[] {
    const seeded = this.#setup.output;
    if (seeded === undefined || this.#hasBegun) return [];
    this.#hasBegun = true;
    return this.#generation.begin(seeded);
  }

  #wrap(effects: readonly Effect[]): Effect[] {
    return effects.map((effect) => {
      if (effect.kind !== 'send') return effect;
      const message: SessionMessage = { kind: 'setup', session: this.session.id, body: effect.message };
      return { ...effect, message: encode(keygenMessage, message) };
    });
  }
}
