import type { Manifest } from './manifest.ts';
import { manifestKey, objectKey, versionOfKey } from './manifests.ts';
import type { ObjectStore } from './object-store.ts';

/** How many versions are kept, the newest included: the last good copy is never overwritten or removed. */
const KEPT_VERSIONS = 2;
/** So many objects may wait for their removal. */
const MAX_GARBAGE = 64;

/**
 * What lies in the bucket and no kept version of a store names: of the versions that this process has written, and of
 * whatever crashes have left before it.
 */
export class Garbage {
  readonly #objects: ObjectStore;
  readonly #id: string;
  readonly #keys = new Set<string>();
  #manifest: Manifest;
  #previousObjects: ReadonlySet<string> = new Set();
  #hasWritten = false;
  /** Objects that this process has made, and those that were there for a reason when it began; until the bucket was searched. */
  #known: Set<string> | undefined;

  /** @param manifest the newest version */
  constructor(objects: ObjectStore, id: string, manifest: Manifest) {
    this.#objects = objects;
    this.#id = id;
    this.#manifest = manifest;
    this.#known = new Set(this.#objectsOf(manifest));
  }

  /** An object is about to be made, for a version to come. */
  making(key: string): void {
    this.#known?.add(key);
  }

  get isMuch(): boolean {
    return this.#keys.size > MAX_GARBAGE;
  }

  /** That version is the newest now. */
  written(manifest: Manifest): void {
    const now = this.#objectsOf(manifest);
    const before = this.#objectsOf(this.#manifest);
    for (const key of this.#previousObjects) if (!before.has(key) && !now.has(key)) this.#keys.add(key);
    this.#previousObjects = before;
    const old = manifest.version - KEPT_VERSIONS;
    if (old > 0) this.#keys.add(manifestKey(this.#id, old));
    this.#manifest = manifest;
    this.#hasWritten = true;
  }

  /**
   * Tries to remove it. Nothing of others before this process has written a version: until then another one may be writing
   * the next, and its objects are no garbage.
   * @throws {KmsError} as the bucket
   */
  async collect(): Promise<void> {
    if (this.#hasWritten && this.#known !== undefined) await this.#search(this.#known);
    const keys = [...this.#keys];
    if (keys.length === 0) return;
    await this.#objects.delete(...keys);
    for (const key of keys) this.#keys.delete(key);
  }

  /** What crashes left: objects that no version of this process ever named, older manifests. Changes go on meanwhile. */
  async #search(known: ReadonlySet<string>): Promise<void> {
    const { version } = this.#manifest;
    const objects = await this.#objects.list(`${this.#id}/objects/`);
    const manifests = await this.#objects.list(`${this.#id}/manifests/`);
    for (const key of objects) if (!known.has(key)) this.#keys.add(key);
    for (const key of manifests) {
      const one = versionOfKey(this.#id, key);
      if (one !== undefined && one <= version - KEPT_VERSIONS) this.#keys.add(key);
    }
    this.#known = undefined;
  }

  #objectsOf({ entries }: Manifest): ReadonlySet<string> {
    return new Set(
      entries.flatMap(({ body }) => (body.kind === 'object' ? [objectKey(this.#id, body.id)] : [])),
    );
  }
}
