import { dirname } from 'node:path';
import type { Files } from '../../../../infra/local/s3/files.ts';

type Change =
  | { readonly kind: 'add'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly path: string };

/**
 * A disk that may fail: what a process sees at once, the disk keeps only when the directory was synced. After a power cut
 * each directory has some of its last changes, in their order.
 */
export class MemoryDisk implements Files {
  #seen = new Map<string, Uint8Array>();
  readonly #kept = new Map<string, Uint8Array>();
  readonly #directories = new Set<string>();
  readonly #pending = new Map<string, Change[]>();
  readonly #keepsPromises: boolean;
  #effectsLeft = Number.POSITIVE_INFINITY;
  /** Since the start. */
  effects = 0;

  /** @param keepsPromises false: syncDirectory does nothing */
  constructor(keepsPromises = true) {
    this.#keepsPromises = keepsPromises;
  }

  /** The process dies at the effect after that many. */
  dieAfter(effects: number): void {
    this.#effectsLeft = effects;
  }

  /** A new process on the same machine. */
  restart(): void {
    this.#effectsLeft = Number.POSITIVE_INFINITY;
  }

  /** A new process after the power went. @param choose 0..max */
  powerCut(choose: (max: number) => number): void {
    for (const changes of this.#pending.values()) {
      for (const change of changes.slice(0, choose(changes.length))) apply(this.#kept, change);
    }
    this.#pending.clear();
    this.#seen = new Map(this.#kept);
    this.restart();
  }

  paths(): readonly string[] {
    return [...this.#seen.keys()];
  }

  async makeDirectory(path: string): Promise<void> {
    for (let one = path; one !== dirname(one); one = dirname(one)) this.#directories.add(one);
  }

  async list(directory: string): Promise<readonly string[]> {
    const all = [...this.#seen.keys(), ...this.#directories];
    return all.filter((path) => dirname(path) === directory).map((path) => path.slice(directory.length + 1));
  }

  async open(path: string) {
    const bytes = this.#seen.get(path);
    if (bytes === undefined) return undefined;
    return {
      sizeBytes: bytes.length,
      read: async (offset: number, length: number) => bytes.slice(offset, offset + length),
      close: async () => {},
    };
  }

  async writeSynced(path: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const bytes = Buffer.concat(parts);
    const dies = this.#effectsLeft === 0;
    if (dies) this.#change({ kind: 'add', path, bytes: bytes.subarray(0, bytes.length >> 1) });
    this.#live();
    if (this.#seen.has(path)) throw new Error('the file exists');
    this.#change({ kind: 'add', path, bytes });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#live();
    const bytes = this.#seen.get(from);
    if (bytes === undefined) throw new Error('no such file');
    this.#change({ kind: 'remove', path: from });
    this.#change({ kind: 'add', path: to, bytes });
  }

  async remove(path: string): Promise<void> {
    this.#live();
    this.#change({ kind: 'remove', path });
  }

  async syncDirectory(path: string): Promise<void> {
    this.#live();
    if (!this.#keepsPromises) return;
    for (const change of this.#pending.get(path) ?? []) apply(this.#kept, change);
    this.#pending.delete(path);
  }

  #live(): void {
    if (this.#effectsLeft <= 0) {
      this.#effectsLeft = -1;
      throw new Error('the process has died');
    }
    this.#effectsLeft -= 1;
    this.effects += 1;
  }

  #change(change: Change): void {
    apply(this.#seen, change);
    const directory = dirname(change.path);
    this.#pending.set(directory, [...(this.#pending.get(directory) ?? []), change]);
  }
}

function apply(files: Map<string, Uint8Array>, change: Change): void {
  if (change.kind === 'add') files.set(change.path, change.bytes);
  else files.delete(change.path);
}
