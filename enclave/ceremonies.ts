import { KmsError } from '../shared/errors.ts';
import { presetByName } from '../shared/fhe/presets.ts';
import { type Digest, type KeyId, keyId, type PartyId } from '../shared/ids.ts';
import { type KeyFiles, readKeyFiles } from '../shared/protocol/keygen/files.ts';
import { type FinishedKey, KeyGeneration, type KeygenSettings } from '../shared/protocol/keygen/keygen.ts';
import { type KeyRequest, requestPurpose } from '../shared/protocol/keygen/request.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { peerMessage } from '../shared/protocol/peer-message.ts';
import { encode } from '../shared/wire/codec.ts';
import type { KeyProgress } from './api.ts';
import { MachineDriver } from './machine-driver.ts';
import type { SealedStore } from './store/sealed-store.ts';

export interface CeremonyPorts {
  readonly store: SealedStore;
  readonly send: (to: PartyId, payload: Uint8Array) => void;
  readonly nowMs: () => number;
  readonly onKey: (finished: FinishedKey) => void;
  readonly onFailure: (error: unknown) => void;
}

interface Ceremony {
  readonly machine: KeyGeneration;
  readonly driver: MachineDriver;
  readonly watchers: Set<() => void>;
  failure: KmsError | undefined;
  isAnnounced: boolean;
}

/** Messages about requests this node has not been given yet, per peer. */
const MAX_EARLY_BYTES_PER_PEER = 16 << 20;
/** A caller waits this long without progress before it is told that the request failed. */
const STALL_MS = 120_000;

/** All key generations of this node, running, waiting for signatures, or finished; one machine per request. */
export class Ceremonies {
  readonly #membership: Membership;
  readonly #settings: KeygenSettings;
  readonly #ports: CeremonyPorts;
  readonly #running = new Map<Digest, Ceremony>();
  readonly #early = new Map<PartyId, { purpose: Digest; body: Uint8Array }[]>();

  constructor(membership: Membership, settings: KeygenSettings, ports: CeremonyPorts) {
    this.#membership = membership;
    this.#settings = settings;
    this.#ports = ports;
  }

  /** Continues every key generation that this node's store knows. */
  async load(): Promise<void> {
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
    presetByName(request.preset);
    const purpose = requestPurpose(this.#membership, request);
    const ceremony =
      this.#running.get(purpose) ?? this.#run(new KeyGeneration(this.#membership, request, this.#settings));
    let last = '';
    while (!signal.aborted) {
      if (ceremony.failure !== undefined) throw ceremony.failure;
      const { finished, progress } = ceremony.machine;
      if (finished !== undefined) {
        yield { kind: 'finished', keyId: finished.record.key };
        return;
      }
      const seen = JSON.stringify(progress);
      if (seen !== last) {
        last = seen;
        yield { kind: 'progress', ...progress };
      }
      await this.#change(ceremony, signal);
    }
  }

  receive(from: PartyId, purpose: Digest, body: Uint8Array): void {
    const ceremony = this.#running.get(purpose);
    if (ceremony !== undefined) {
      ceremony.driver.receive(from, body);
      return;
    }
    const early = [...(this.#early.get(from) ?? []), { purpose, body }];
    let sizeBytes = early.reduce((sum, one) => sum + one.body.length, 0);
    while (sizeBytes > MAX_EARLY_BYTES_PER_PEER) sizeBytes -= early.shift()?.body.length ?? sizeBytes;
    this.#early.set(from, early);
  }

  stop(): void {
    for (const { driver } of this.#running.values()) driver.stop();
  }

  #run(machine: KeyGeneration): Ceremony {
    const { store, nowMs, onFailure } = this.#ports;
    const watchers = new Set<() => void>();
    const notify = (): void => {
      for (const watcher of [...watchers]) watcher();
    };
    const driver = new MachineDriver(machine, {
      store,
      nowMs,
      send: (to, body) =>
        this.#ports.send(to, encode(peerMessage, { kind: 'keygen', purpose: machine.purpose, body })),
      onProgress: () => {
        this.#announce(ceremony);
        notify();
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
    const ceremony: Ceremony = { machine, driver, watchers, failure: undefined, isAnnounced: false };
    this.#running.set(machine.purpose, ceremony);
    this.#announce(ceremony);
    driver.start();
    this.#replay(machine.purpose, driver);
    return ceremony;
  }

  #announce(ceremony: Ceremony): void {
    const { finished } = ceremony.machine;
    if (finished === undefined || ceremony.isAnnounced) return;
    ceremony.isAnnounced = true;
    this.#ports.onKey(finished);
  }

  #replay(purpose: Digest, driver: MachineDriver): void {
    for (const [from, early] of this.#early) {
      for (const one of early) if (one.purpose === purpose) driver.receive(from, one.body);
      this.#early.set(
        from,
        early.filter((one) => one.purpose !== purpose),
      );
    }
  }

  /** Resolves at the next step of the machine. @throws {KmsError} SETUP_ABORTED after a long silence */
  #change(ceremony: Ceremony, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        ceremony.watchers.delete(wake);
      };
      const wake = (): void => {
        end();
        resolve();
      };
      const timer = setTimeout(() => {
        end();
        reject(new KmsError('SETUP_ABORTED', 'the key generation does not move; repeat it as a new request'));
      }, STALL_MS);
      ceremony.watchers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
