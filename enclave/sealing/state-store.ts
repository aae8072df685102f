import { KmsError } from '../../shared/errors.ts';
import type { EpochId } from '../../shared/ids.ts';
import { NODE_SCOPE, type Scope, scopeName, scopeNamed, scopeOf } from '../../shared/sealing/scope.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type { Changes, SealedStore } from '../store/sealed-store.ts';
import { type StateVersion, VersionedStore, type VersionedStoreOptions } from '../store/versioned-store.ts';
import { type ScopeHeader, scopeHeaderCodec } from './scope-header.ts';
import type { Scopes } from './scopes.ts';

export interface StateStoreOptions
  extends Pick<
    VersionedStoreOptions,
    'objects' | 'networkId' | 'party' | 'rng' | 'acknowledge' | 'onTrouble' | 'onLost'
  > {
  readonly epoch: EpochId;
  /** Its scope `node` is open. */
  readonly scopes: Scopes;
  /** What goes with every change. @param version that it makes */
  readonly along?: (version: number) => Changes;
  /** Scopes have ended: other nodes are to forget them. */
  readonly onEnded?: () => void;
}

/** Headers of the other scopes; the header of `node` is in tier 1. */
const HEADERS = 'scopes/';
/** Scopes whose records are gone, as long as other nodes may still hold shares of them. */
const ERASING = 'erasing/';

/**
 * Tier 2: everything of a node that nobody may read, and nobody may turn back. Each record is sealed by its scope's key; a scope
 * comes with its first record and goes with its last, and then stays on the list of those that other nodes are to forget.
 */
export class StateStore implements SealedStore {
  readonly #store: VersionedStore;
  readonly #scopes: Scopes;
  readonly #epoch: EpochId;
  readonly #filling = new Pending();
  readonly #onEnded: (() => void) | undefined;

  private constructor(store: VersionedStore, { scopes, epoch, onEnded }: StateStoreOptions) {
    this.#store = store;
    this.#scopes = scopes;
    this.#epoch = epoch;
    this.#onEnded = onEnded;
  }

  /**
   * @param known what the other nodes vouch for
   * @throws {KmsError} STORE_FAILED if that state is lost or was changed
   */
  static async open(options: StateStoreOptions, known: StateVersion): Promise<StateStore> {
    const { scopes, epoch, along, onEnded: _, ...rest } = options;
    const name = (record: string): string => scopeName(scopeOf(record, epoch));
    const store = await VersionedStore.open(
      {
        ...rest,
        id: 'tier-2',
        scopeOf: name,
        keyOf: (scope) => scopes.keyOf(scope),
        manifestScope: scopeName(NODE_SCOPE),
        complete: (changes, names) =>
          new Map([...completed(scopes, name, changes, names), ...(along?.(store.state.version + 1) ?? [])]),
      },
      known,
    );
    return new StateStore(store, options);
  }

  get state(): StateVersion {
    return this.#store.state;
  }

  get sizeBytes(): number {
    return this.#store.sizeBytes;
  }

  /** The scopes that are not open yet after a start. */
  async headers(): Promise<readonly ScopeHeader[]> {
    const names = await this.#store.list(HEADERS);
    return Promise.all(names.map(async (name) => decode(scopeHeaderCodec, await this.#read(name))));
  }

  /** Headers that have changed, of scopes that are open. */
  resealed(headers: readonly ScopeHeader[]): Promise<void> {
    return this.#store.change(
      new Map(headers.map((one) => [HEADERS + scopeName(one.scope), encode(scopeHeaderCodec, one)])),
    );
  }

  /** Scopes that other nodes may still hold shares of. */
  async erasing(): Promise<readonly Scope[]> {
    return (await this.#store.list(ERASING)).map((name) => scopeNamed(name.slice(ERASING.length)));
  }

  /** Every other node has erased its share. */
  erased(scope: Scope): Promise<void> {
    return this.#store.delete(ERASING + scopeName(scope));
  }

  /** Removes what no kept version needs now, not later. @throws {KmsError} STORE_FAILED, UNAVAILABLE */
  collectGarbage(): Promise<void> {
    return this.#store.collectGarbage();
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#store.get(name);
  }

  put(name: string, bytes: Uint8Array): Promise<void> {
    return this.change(new Map([[name, bytes]]));
  }

  delete(name: string): Promise<void> {
    return this.change(new Map([[name, undefined]]));
  }

  list(prefix: string): Promise<readonly string[]> {
    return this.#store.list(prefix);
  }

  /** All of it or nothing. @throws {KmsError} as put() */
  async change(changes: Changes): Promise<void> {
    const names = [...changes].flatMap(([name, bytes]) => (bytes === undefined ? [] : [name]));
    const filled = names.map((name) => scopeOf(name, this.#epoch));
    for (const scope of filled) this.#filling.add(scopeName(scope));
    try {
      for (const scope of filled) await this.#scopes.ensure(scope);
      await this.#store.change(changes);
    } finally {
      for (const scope of filled) this.#filling.remove(scopeName(scope));
    }
    await this.#destroyEmpty();
  }

  close(): void {
    this.#store.close();
    this.#scopes[Symbol.dispose]();
  }

  async #read(name: string): Promise<Uint8Array> {
    const bytes = await this.#store.get(name);
    if (bytes === undefined) throw new KmsError('STORE_FAILED', `record ${name} is gone`);
    return bytes;
  }

  /** Wrapping keys of scopes that hold nothing any more, and are not about to. */
  async #destroyEmpty(): Promise<void> {
    const held = new Set(await this.#store.list(HEADERS));
    for (const name of this.#scopes.names) {
      if (name === scopeName(NODE_SCOPE) || this.#filling.has(name) || held.has(HEADERS + name)) continue;
      this.#scopes.destroy(name);
      this.#onEnded?.();
    }
  }
}

/** How many changes are about to put something under a name. */
class Pending {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  remove(name: string): void {
    const left = (this.#counts.get(name) ?? 0) - 1;
    if (left > 0) this.#counts.set(name, left);
    else this.#counts.delete(name);
  }

  has(name: string): boolean {
    return this.#counts.has(name);
  }
}

/** Headers come and go with the records of their scopes. */
function completed(
  scopes: Scopes,
  scopeOfRecord: (record: string) => string,
  changes: Changes,
  names: readonly string[],
): Changes {
  const after = new Set(names);
  for (const [name, bytes] of changes) {
    if (bytes === undefined) after.delete(name);
    else after.add(name);
  }
  const used = new Set([...after].map(scopeOfRecord));
  const more = new Map<string, Uint8Array | undefined>();
  for (const scope of new Set([...changes.keys()].map(scopeOfRecord))) {
    if (scope === scopeName(NODE_SCOPE)) continue;
    if (used.has(scope) && !after.has(HEADERS + scope)) {
      more.set(HEADERS + scope, encode(scopeHeaderCodec, scopes.headerOf(scope)));
      more.set(ERASING + scope, undefined);
    } else if (!used.has(scope) && after.has(HEADERS + scope)) {
      more.set(HEADERS + scope, undefined);
      more.set(ERASING + scope, new Uint8Array(0));
    }
  }
  return more;
}
