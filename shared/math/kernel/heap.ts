import { KmsError } from '../../errors.ts';

const ALIGN = 64;

/**
 * First-fit allocator over one fixed address range, aligned to 64 bytes. Only addresses: it never touches
 * memory.
 */
export class Heap {
  /** Free ranges [from, to), ascending, never adjacent. */
  readonly #free: { from: number; to: number }[];
  readonly #taken = new Map<number, number>();

  constructor(from: number, to: number) {
    this.#free = [{ from: Math.ceil(from / ALIGN) * ALIGN, to }];
  }

  /** @throws {KmsError} BUSY when no free range is long enough */
  allocate(sizeBytes: number): number {
    const size = Math.max(1, Math.ceil(sizeBytes / ALIGN)) * ALIGN;
    const index = this.#free.findIndex((range) => range.to - range.from >= size);
    const range = this.#free[index];
    if (range === undefined) {
      throw new KmsError(
        'BUSY',
        `kernel memory has no ${size} free bytes; finish or dispose running work first`,
      );
    }
    const at = range.from;
    range.from += size;
    if (range.from === range.to) this.#free.splice(index, 1);
    this.#taken.set(at, size);
    return at;
  }

  /** @returns bytes that were reserved at this address @throws {KmsError} INTERNAL when nothing was */
  release(at: number): number {
    const size = this.#taken.get(at);
    if (size === undefined) throw new KmsError('INTERNAL', 'kernel memory released twice');
    this.#taken.delete(at);
    const index = this.#free.findIndex((range) => range.from > at);
    this.#free.splice(index < 0 ? this.#free.length : index, 0, { from: at, to: at + size });
    this.#join((index < 0 ? this.#free.length : index + 1) - 1);
    return size;
  }

  /** Merges the range at index with its neighbours. */
  #join(index: number): void {
    for (const left of [index, index - 1]) {
      const [a, b] = [this.#free[left], this.#free[left + 1]];
      if (a === undefined || b === undefined || a.to !== b.from) continue;
      a.to = b.to;
      this.#free.splice(left + 1, 1);
    }
  }
}
