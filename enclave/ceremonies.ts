import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, KmsError } from '../shared/errors.ts';
import { presetFor } from '../shared/fhe/presets.ts';
import { type Digest, type KeyId, keyId, type PartyId } from '../shared/ids.ts';
import { Forgeries } from '../shared/protocol/forgeries.ts';
import { type KeyFiles, readKeyFiles } from '../shared/protocol/keygen/files.ts';
import { introducedBy } from '../shared/protocol/keygen/introduction.ts';
import { type FinishedKey, KeyGeneration, type KeygenSettings } from '../shared/protocol/keygen/keygen.ts';
import { type KeyRequest, requestPurpose } from '../shared/protocol/keygen/request.ts';
import { type Membership, peersOf } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { encode } from '../shared/wire/codec.ts';
import { EarlyCeremonyMessages } from './early-ceremony-messages.ts';
import { MachineDriver } from './machine-driver.ts';
import type { SealedStore } from './store/sealed-store.ts';

export interface CeremonyPorts {
  readonly store: SealedStore;
  readonly send: (to: PartyId, payload: Uint8Array) => void;
  readonly nowMs: () => number;
  readonly onKey: (finished: FinishedKey) => void;
  readonly onFailure: (error: unknown) => void;
  /** Parties that signed wrong shares of what a key generation opens, after each of its steps. */
  readonly onWrongShares: (parties: readonly PartyId[]) => void;
}

export type KeyProgress =
  | { readonly kind: 'progress'; readonly phase: string; readonly done: number; readonly total: number }
  | { readonly kind: 'finished'; readonly keyId: KeyId };

interface Ceremony {
  readonly machine: KeyGeneration;
  readonly driver: MachineDriver;
  readonly watchers: Set<() => void>;
  failure: KmsError | undefined;
  /** What the machine had come to when the last step was taken whose effects are all done. */
  seen: Pick<KeyGeneration, 'finished' | 'progress' | 'certified'>;
  /** Keys announced, and whether with this node's share. */
  readonly announced: Map<KeyId, boolean>;
}

/** A caller waits this long without progress before it is told that the request failed. */
const STALL_MS = 120_000;
/** A bucket that does not answer is asked again after this. */
const LOAD_AGAIN_MS = 2_000;

/** All key generations of this node, running, waiting for signatures, or finished; one machine per request. */
export class Ceremonies {
  readonly #membership: Membership;
  readonly #settings: KeygenSettings;
  readonly #ports: CeremonyPorts;
  readonly #running = new Map<Digest, Ceremony>();
  #isStopped = false;
  readonly #early = new EarlyCeremonyMessages();
  readonly #forgeries = new Forgeries();
  /** Settled by load(): before that nobody knows which requests this node has begun in an earlier life. */
  readonly #loaded = Promise.withResolvers<void>();

  constructor(membership: Membership, settings: KeygenSettings, ports: CeremonyPorts) {
    this.#membership = membership;
    this.#settings = settings;
    this.#ports = ports;
    // Who waits for it gets the error; if nobody does, load's own caller has it.
    this.#loaded.promise.catch(() => undefined);
  }

  /** Continues every key generation that this node's store knows. Requests wait for it. */
  async load(): Promise<void> {
    for (;;) {
      try {
        await this.#loadAll();
        this.#loaded.resolve();
        return;
      } catch (error) {
        if (codeOf(error) !== 'UNAVAILABLE' || this.#isStopped) {
          this.#loaded.reject(error);
          throw error;
        }
      }
      // Nothing was begun: everything is read before the first machine runs.
      await sleep(LOAD_AGAIN_MS, undefined, { ref: false });
    }
  }

  async #loadAll(): Promise<void> {
    const ids = new Set<KeyId>();
    for (const name of await this.#ports.store.list('keys/')) ids.add(keyId(name.split('/')[1] ?? ''));
    const byPurpose = new Map<Digest, KeyFiles[]>();
    for (const id of ids) {
      const files = await readKeyFiles(id, (name) => this.#ports.store.get(name));
      if (files === undefined) continue;
      const purpose = requestPurpose(this.#membership, files.state.request);
      byPurpose.set(purpose, [...(byPurpose.get(purpose) ?? []), files]);
    }
    for (const attempts of byPurpose.values()) {
      this.#run(KeyGeneration.resume(this.#membership, attempts, this.#settings));
    }
  }

  /**
   * Starts a key generation, joins one that runs, or repeats the answer of one that has finished.
   * @throws {KmsError} UNKNOWN_PRESET; SETUP_ABORTED when nothing moves any more
   */
  async *generate(request: KeyRequest, signal: AbortSignal): AsyncIterable<KeyProgress> {
    presetFor(this.#membership.networkId, request.preset);
    await this.#loaded.promise;
    const purpose = requestPurpose(this.#membership, request);
    const ceremony =
      this.#running.get(purpose) ?? this.#run(new KeyGeneration(this.#membership, request, this.#settings));
    ceremony.driver.run((nowMs) => ceremony.machine.join(nowMs));
    let last = '';
    let movedMs = this.#ports.nowMs();
    while (!signal.aborted) {
      if (ceremony.failure !== undefined) throw ceremony.failure;
      const { finished, progress } = ceremony.seen;
      if (finished !== undefined) {
        yield { kind: 'finished', keyId: finished.record.key };
        return;
      }
      const seen = JSON.stringify(progress);
      if (seen !== last) {
        last = seen;
        movedMs = this.#ports.nowMs();
        yield { kind: 'progress', ...progress };
      }
      const leftMs = movedMs + STALL_MS - this.#ports.nowMs();
      if (leftMs <= 0) {
        throw new KmsError('SETUP_ABORTED', 'the key generation does not move; repeat it as a new request');
      }
      await this.#change(ceremony, leftMs, signal);
    }
  }

  /** Resolves when the message has been dealt with: until then the transport holds its peer back. */
  async receive(from: PartyId, purpose: Digest, body: Uint8Array): Promise<void> {
    const ceremony = this.#running.get(purpose);
    if (ceremony !== undefined) return ceremony.driver.receive(from, body);
    const watched = this.#forgeries.watch(this.#membership);
    const introduction = this.#forgeries.hear(from, this.#ports.nowMs(), () => ({
      request: introducedBy(watched, purpose, body),
    }));
    if (introduction === undefined) return;
    const { request } = introduction;
    if (request !== undefined) {
      await this.#loaded.promise;
      const known = this.#running.get(purpose);
      const followed = known ?? this.#run(KeyGeneration.follow(this.#membership, request, this.#settings));
      return followed.driver.receive(from, body);
    }
    this.#early.keep(from, purpose, body);
  }

  /** Tells a member that has just come up of every key, in case it was away when they were made. */
  introduce(to: PartyId): void {
    for (const { machine } of this.#running.values()) {
      for (const body of machine.introductions()) this.#send(to, machine.purpose, body);
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const { driver } of this.#running.values()) driver.stop();
  }

  #run(machine: KeyGeneration): Ceremony {
    if (this.#running.has(machine.purpose)) throw new KmsError('INTERNAL', 'this request runs already');
    const { store, nowMs, onFailure } = this.#ports;
    const watchers = new Set<() => void>();
    const notify = (): void => {
      for (const watcher of [...watchers]) watcher();
    };
    const driver = new MachineDriver(machine, {
      store,
      nowMs,
      send: (to, body) => this.#send(to, machine.purpose, body),
      onStep: () => {
        const seen = seenOf(machine);
        return () => {
          ceremony.seen = seen;
          this.#ports.onWrongShares(machine.culprits);
          this.#announce(ceremony);
          notify();
        };
      },
      onFailure: (error) => {
        ceremony.failure =
          error instanceof KmsError
            ? error
            : new KmsError('INTERNAL', 'key generation stopped', { cause: error });
        onFailure(error);
        notify();
      },
    });
    const seen = seenOf(machine);
    const ceremony: Ceremony = { machine, driver, watchers, seen, failure: undefined, announced: new Map() };
    this.#running.set(machine.purpose, ceremony);
    this.#announce(ceremony);
    driver.start();
    this.#replay(machine.purpose, driver);
    return ceremony;
  }

  /** Tells of every key that exists by now, again when this node gets its share of one later. */
  #announce({ machine, seen, announced }: Ceremony): void {
    for (const finished of seen.certified) {
      const { key } = finished.record;
      const holdsShare = finished.seeds !== undefined;
      if (announced.get(key) === holdsShare) continue;
      announced.set(key, holdsShare);
      this.#ports.onKey(finished);
      for (const peer of peersOf(this.#membership)) {
        for (const body of machine.introductions()) this.#send(peer, machine.purpose, body);
      }
    }
  }

  #send(to: PartyId, purpose: Digest, body: Uint8Array): void {
    this.#ports.send(to, encode(peerMessage, { kind: 'keygen', purpose, body }));
  }

  #replay(purpose: Digest, driver: MachineDriver): void {
    for (const [from, body] of this.#early.take(purpose)) void driver.receive(from, body);
  }

  /** Resolves at the next step of the machine, after the given time, or when the caller has gone. */
  #change(ceremony: Ceremony, forMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        ceremony.watchers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, forMs);
      ceremony.watchers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

function seenOf({ finished, progress, certified }: KeyGeneration): Ceremony['seen'] {
  return { finished, progress, certified: [...certified] };
}
