import type { Changes, SealedStore } from '../../enclave/store/sealed-store.ts';

/** A sealed store in memory; copy() is what a thief of the disk gets, and what an operator can put back later. */
export class MemoryStore implements SealedStore {
  readonly records: Map<string, Uint8Array>;

  constructor(records: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.records = new Map(records);
  }

  copy(): MemoryStore {
    return new MemoryStore(this.records);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.records.get(name)?.slice();
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    this.records.set(name, bytes.slice());
  }

  async delete(name: string): Promise<void> {
    this.records.delete(name);
  }

  async change(changes: Changes): Promise<void> {
    for (const [name, bytes] of changes) {
      if (bytes === undefined) await this.delete(name);
      else await this.put(name, bytes);
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    return [...this.records.keys()].filter((name) => name.startsWith(prefix)).sort();
  }
}
