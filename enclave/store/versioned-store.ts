import { setTimeout as sleep } from 'node:timers/promises';
import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Rng } from '../../shared/primitives.ts';
import { digestOf, NO_DIGEST } from '../../shared/protocol/statement.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import { encode } from '../../shared/wire/codec.ts';
import { nodePrimitives } from '../primitives.ts';
import { openRecord, type RecordPlace, SEAL_OVERHEAD_BYTES, sealRecord } from '../sealing/sealed-record.ts';
import { Garbage } from './garbage.ts';
import {
  MAX_INLINE_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type ManifestEntry,
  manifestCodec,
  NO_MANIFEST,
  OBJECT_ID_BYTES,
  type RecordBody,
} from './manifest.ts';
import { ifDamaged, manifestKey, manifestPlace, newestShown, objectKey, readManifest } from './manifests.ts';
import type { ObjectStore } from './object-store.ts';
import { checkName } from './record-name.ts';
import { type Changes, MAX_RECORD_BYTES, type SealedStore } from './sealed-store.ts';

/** A store's state as its owner announces it. */
export interface StateVersion {
  readonly version: number;
  /** SHA-256 of the sealed manifest; NO_DIGEST for version 0. */
  readonly digest: Digest;
}

export const NO_STATE: StateVersion = { version: 0, digest: NO_DIGEST };

export interface VersionedStoreOptions {
  readonly objects: ObjectStore;
  /** Distinguishes stores in one bucket; the first segment of every key. */
  readonly id: string;
  readonly networkId: Digest;
  readonly party: PartyId;
  /** Which wrapping key seals a record. */
  readonly scopeOf: (name: string) => string;
  /** 32 secret bytes, the scope's until it is destroyed. @throws {KmsError} STORE_FAILED for a scope that is not open */
  readonly keyOf: (scope: string) => Uint8Array;
  /** The scope that seals manifests. */
  readonly manifestScope: string;
  /** What else changes with these changes. @param names of all records before them */
  readonly complete?: (changes: Changes, names: readonly string[]) => Changes;
  /** Resolves when the version has taken effect (decision 0005, "State"); default: at once. */
  readonly acknowledge?: (state: StateVersion) => Promise<void>;
  readonly rng: Rng;
  /** How long a change waits for others that may go with it, in one version; default: for those of the same turn. */
  readonly gatherMs?: number;
  /** Told of what the bucket did not do; it is tried again. */
  readonly onTrouble?: (error: unknown) => void;
  /** Another process writes this state: this one must not go on. */
  readonly onLost?: (error: KmsError) => void;
}

interface Waiting {
  readonly changes: Changes;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

const RETRY_MS = { first: 50, last: 5_000 };
/** After so long without a change what is there is removed. */
const IDLE_MS = 1_000;

/**
 * A sealed store as a series of manifests in an object store (decision 0005, "State"). Nothing is ever overwritten: larger
 * records first, as objects of their own, then the manifest that names them, under a key that must not exist yet. Changes
 * that wait for one another's version go into one manifest.
 */
export class VersionedStore implements SealedStore {
  readonly #options: VersionedStoreOptions;
  #manifest: Manifest;
  #state: StateVersion;
  #entries: ReadonlyMap<string, ManifestEntry>;
  #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #collecting: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Another process writes this state: this one writes nothing any more. */
  #failure: KmsError | undefined;
  readonly #garbage: Garbage;
  readonly #closed = new AbortController();
  /** Ends the wait for a version to take effect. */
  #endWaiting: ((reason: KmsError) => void) | undefined;

  private constructor(options: VersionedStoreOptions, manifest: Manifest, state: StateVersion) {
    this.#options = options;
    this.#manifest = manifest;
    this.#state = state;
    this.#entries = byName(manifest);
    this.#garbage = new Garbage(options.objects, options.id, manifest);
  }

  /**
   * Opens the newest version, which is `known` or a later one whose predecessors lead to it.
   * @param known the version that others vouch for; undefined: whatever the bucket shows
   * @throws {KmsError} STORE_FAILED if that version is lost or was changed
   */
  static async open(
    options: VersionedStoreOptions,
    known: StateVersion | undefined,
  ): Promise<VersionedStore> {
    const shown = known?.version ?? (await newestShown(options));
    let manifest = NO_MANIFEST;
    let state = NO_STATE;
    if (shown > 0) {
      const found = await readManifest(options, shown);
      if (found === undefined) {
        throw new KmsError(
          'STORE_FAILED',
          `version ${shown} of the ${options.id} state is not in the bucket`,
        );
      }
      if (known !== undefined && found.state.digest !== known.digest) {
        throw new KmsError(
          'STORE_FAILED',
          `version ${shown} of the ${options.id} state is not the one that took effect`,
        );
      }
      ({ manifest, state } = found);
    }
    for (;;) {
      const next = await readManifest(options, state.version + 1).catch(ifDamaged);
      if (next === undefined || next.manifest.previous !== state.digest) break;
      ({ manifest, state } = next);
    }
    return new VersionedStore(options, manifest, state);
  }

  /** The newest version written; it may not have taken effect yet. */
  get state(): StateVersion {
    return this.#state;
  }

  /** Size of everything that the newest version holds, as it lies in the bucket. */
  get sizeBytes(): number {
    return this.#manifest.entries.reduce(
      (sum, { body }) => sum + (body.kind === 'object' ? body.sizeBytes : body.sealed.length),
      0,
    );
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkName(name);
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    try {
      const sealed = await this.#bodyOf(entry);
      return openRecord(this.#options.keyOf(entry.scope), this.#placeOf(entry), sealed);
    } catch (error) {
      // Versions may have passed meanwhile, and what the older ones named is gone.
      if (this.#entries.get(name) === entry) throw error;
      return this.get(name);
    }
  }

  put(name: string, bytes: Uint8Array): Promise<void> {
    return this.change(new Map([[name, bytes]]));
  }

  async delete(name: string): Promise<void> {
    await this.change(new Map([[name, undefined]]));
  }

  async list(prefix: string): Promise<readonly string[]> {
    return [...this.#entries.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  /**
   * All of it or nothing, durable and in effect when the promise resolves.
   * @throws {KmsError} STORE_FAILED, BAD_INPUT for a bad name, TOO_LARGE
   */
  async change(changes: Changes): Promise<void> {
    for (const [name, bytes] of changes) {
      checkName(name);
      if (bytes !== undefined && bytes.length > MAX_RECORD_BYTES) {
        throw new KmsError('TOO_LARGE', `a record has at most ${MAX_RECORD_BYTES} bytes`);
      }
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // What is committed is what the caller gave, whatever becomes of its buffers.
    const copied = new Map([...changes].map(([name, bytes]) => [name, bytes?.slice()]));
    this.#waiting.push({ changes: copied, done: resolve, failed: reject });
    this.#committing ??= this.#commitAll();
    return promise;
  }

  /** Nothing is written from now on; what waits fails. */
  close(): void {
    this.#closed.abort();
    clearTimeout(this.#idle);
    this.#endWaiting?.(storeClosed());
  }

  /** Tries to remove what no kept version needs. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  collectGarbage(): Promise<void> {
    return this.#garbage.collect();
  }

  /** Beside the changes that go on. */
  async #collect(): Promise<void> {
    try {
      await this.collectGarbage();
    } catch (error) {
      this.#options.onTrouble?.(error);
    } finally {
      this.#collecting = undefined;
    }
  }

  async #commitAll(): Promise<void> {
    const { gatherMs } = this.#options;
    // Changes made in one turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      if (gatherMs !== undefined) await sleep(gatherMs);
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        if (this.#failure !== undefined) throw this.#failure;
        this.#throwIfClosed();
        await this.#commit(merged(batch));
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      } finally {
        for (const { changes } of batch) for (const bytes of changes.values()) bytes?.fill(0);
      }
      if (this.#garbage.isMuch) this.#collecting ??= this.#collect();
    }
    this.#committing = undefined;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#collecting ??= this.#collect();
    }, IDLE_MS).unref();
  }

  async #commit(asked: Changes): Promise<void> {
    const { complete, id, acknowledge = async () => {} } = this.#options;
    // To forget what is not there changes nothing.
    const real = new Map(
      [...asked].filter(([name, bytes]) => bytes !== undefined || this.#entries.has(name)),
    );
    if (real.size === 0) return;
    const changes = new Map([...real, ...(complete?.(real, [...this.#entries.keys()]) ?? [])]);
    const version = this.#state.version + 1;
    const entries = new Map(this.#entries);
    await Promise.all(
      [...changes].map(async ([name, bytes]) => {
        if (bytes === undefined) entries.delete(name);
        else entries.set(name, await this.#write(name, bytes, version));
      }),
    );
    const sorted = [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const manifest: Manifest = { version, previous: this.#state.digest, entries: sorted };
    const sealed = this.#sealManifest(manifest);
    const key = manifestKey(id, version);
    const state = { version, digest: digestOf(nodePrimitives, sealed) };
    await this.#create(key, sealed);
    this.#moveTo(manifest, state, entries);
    this.#throwIfClosed();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    this.#endWaiting = reject;
    await Promise.race([acknowledge(state), ended]);
  }

  /**
   * Tries until it is there: what a bucket refuses now it may take later, and a repeated write finds its own first attempt.
   * Anything else under that key is another process's, and this one must not go on.
   */
  async #create(key: string, sealed: Uint8Array): Promise<void> {
    const { objects, onTrouble } = this.#options;
    for (let waitMs = RETRY_MS.first; ; waitMs = Math.min(2 * waitMs, RETRY_MS.last)) {
      this.#throwIfClosed();
      try {
        if ((await objects.create(key, sealed)) === 'created') return;
        const found = await objects.get(key, MAX_RECORD_BYTES + SEAL_OVERHEAD_BYTES);
        if (found !== undefined && equalBytes(found, sealed)) return;
        if (found !== undefined) break;
      } catch (error) {
        onTrouble?.(error);
      }
      await sleep(waitMs, undefined, { signal: this.#closed.signal, ref: false }).catch(() => {});
    }
    this.#failure = new KmsError('STORE_FAILED', 'another process has written the state of this node');
    this.#options.onLost?.(this.#failure);
    throw this.#failure;
  }

  #throwIfClosed(): void {
    if (this.#closed.signal.aborted) throw storeClosed();
  }

  #moveTo(manifest: Manifest, state: StateVersion, entries: ReadonlyMap<string, ManifestEntry>): void {
    this.#garbage.written(manifest);
    this.#manifest = manifest;
    this.#state = state;
    this.#entries = entries;
  }

  async #write(name: string, bytes: Uint8Array, version: number): Promise<ManifestEntry> {
    const { scopeOf, keyOf, rng } = this.#options;
    const scope = scopeOf(name);
    const sealed = sealRecord(keyOf(scope), this.#placeOf({ name, scope, version }), bytes, rng);
    if (sealed.length <= MAX_INLINE_BYTES) return { name, scope, version, body: { kind: 'inline', sealed } };
    const id = rng(OBJECT_ID_BYTES);
    const key = objectKey(this.#options.id, id);
    this.#garbage.making(key);
    await this.#create(key, sealed);
    const body: RecordBody = {
      kind: 'object',
      id,
      digest: digestOf(nodePrimitives, sealed),
      sizeBytes: sealed.length,
    };
    return { name, scope, version, body };
  }

  async #bodyOf({ name, body }: ManifestEntry): Promise<Uint8Array> {
    if (body.kind === 'inline') return body.sealed;
    const sealed = await this.#options.objects.get(
      objectKey(this.#options.id, body.id),
      MAX_RECORD_BYTES + SEAL_OVERHEAD_BYTES,
    );
    if (sealed === undefined) throw new KmsError('STORE_FAILED', `the bucket has lost record ${name}`);
    if (digestOf(nodePrimitives, sealed) !== body.digest) {
      throw new KmsError('STORE_FAILED', `the bucket has changed record ${name}`);
    }
    return sealed;
  }

  #placeOf({ name, scope, version }: Pick<ManifestEntry, 'name' | 'scope' | 'version'>): RecordPlace {
    const { id, party, networkId } = this.#options;
    return { type: 'record', id: `${id}/${name}`, scope, version, party, networkId };
  }

  #sealManifest(manifest: Manifest): Uint8Array {
    const { keyOf, manifestScope, rng } = this.#options;
    const bytes = encode(manifestCodec, manifest);
    if (bytes.length + SEAL_OVERHEAD_BYTES > MAX_MANIFEST_BYTES) {
      throw new KmsError('TOO_LARGE', 'the state names too many records');
    }
    return sealRecord(keyOf(manifestScope), manifestPlace(this.#options, manifest.version), bytes, rng);
  }
}

function storeClosed(): KmsError {
  return new KmsError('SESSION_CLOSED', 'the store is closed');
}

function byName({ entries }: Manifest): ReadonlyMap<string, ManifestEntry> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function merged(batch: readonly Waiting[]): Changes {
  return new Map(batch.flatMap(({ changes }) => [...changes]));
}
