import type { Calls } from './calls.ts';
import { kernelBase64 } from './generated/kernel.ts';
import { Heap } from './heap.ts';

/** The kernel's static data lies below. */
const HEAP_START = 65_536;

/**
 * The WebAssembly arithmetic kernel: one instance, synchronous, without imports. Its memory is fixed at 64
 * MiB (N = 16384: tables of nine primes 5 MiB, thirteen shares of nine primes 15 MiB) and never grows, so the
 * views below stay valid. Whatever is released is zeroed first. Little-endian hosts only.
 */
export class Kernel {
  readonly calls: Calls;
  /** All of memory, as bytes and as words: word i is the one at byte address 8i. */
  readonly bytes: Uint8Array;
  readonly words: BigUint64Array;
  readonly #heap: Heap;

  private constructor(exports: Calls & { readonly memory: WebAssembly.Memory }) {
    this.calls = exports;
    this.bytes = new Uint8Array(exports.memory.buffer);
    this.words = new BigUint64Array(exports.memory.buffer);
    this.#heap = new Heap(HEAP_START, this.bytes.length);
  }

  static async load(): Promise<Kernel> {
    const code = Uint8Array.from(atob(kernelBase64), (character) => character.charCodeAt(0));
    const { instance } = await WebAssembly.instantiate(code, {});
    return new Kernel(instance.exports as unknown as Calls & { readonly memory: WebAssembly.Memory });
  }

  /** Address of sizeBytes zeroed bytes, 64-byte aligned. @throws {KmsError} BUSY when memory is full */
  allocate(sizeBytes: number): number {
    return this.#heap.allocate(sizeBytes);
  }

  /**
   * Zeroes and frees what `allocate` returned.
   * @param usedBytes how much of it was ever written; default all
   */
  release(at: number, usedBytes = Number.POSITIVE_INFINITY): void {
    const size = this.#heap.release(at);
    this.bytes.fill(0, at, at + Math.min(size, usedBytes));
  }

  /** Runs f on zeroed scratch memory and zeroes it again. */
  scratch<T>(sizeBytes: number, f: (at: number) => T): T {
    const at = this.allocate(sizeBytes);
    try {
      return f(at);
    } finally {
      this.release(at);
    }
  }

  /** Copies residues to an address. */
  write(at: number, values: BigUint64Array): void {
    this.words.set(values, at / 8);
  }

  /** Copy of count words at an address. */
  read(at: number, count: number): BigUint64Array {
    return this.words.slice(at / 8, at / 8 + count);
  }
}
