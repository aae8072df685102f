import { compareKeys } from './names.ts';
import type { ObjectVersion } from './object-version.ts';

/** The versions of a bucket's objects, in memory; what is here is on the disk. */
export class BucketIndex {
  /** Of each key, newest first; never empty. */
  readonly #versions = new Map<string, readonly ObjectVersion[]>();
  #sorted: readonly string[] | undefined;

  /** Keys with any version, in S3's order. */
  keys(): readonly string[] {
    this.#sorted ??= [...this.#versions.keys()].sort(compareKeys);
    return this.#sorted;
  }

  /** Newest first; empty if there is none. */
  of(key: string): readonly ObjectVersion[] {
    return this.#versions.get(key) ?? [];
  }

  find(key: string, versionId: string): ObjectVersion | undefined {
    return this.of(key).find((version) => version.versionId === versionId);
  }

  /** Replaces the version of the same id, which is returned. */
  add(version: ObjectVersion): ObjectVersion | undefined {
    const old = this.find(version.key, version.versionId);
    const others = this.of(version.key).filter((one) => one !== old);
    this.#set(
      version.key,
      [version, ...others].sort((a, b) => b.sequence - a.sequence),
    );
    return old;
  }

  remove(version: ObjectVersion): void {
    this.#set(
      version.key,
      this.of(version.key).filter((one) => one.versionId !== version.versionId),
    );
  }

  #set(key: string, versions: readonly ObjectVersion[]): void {
    if (this.#versions.has(key) !== versions.length > 0) this.#sorted = undefined;
    if (versions.length > 0) this.#versions.set(key, versions);
    else this.#versions.delete(key);
  }
}
