/** What every connection reads into, each way. */
export const SMALL_BYTES: number = 64 * 1024;

/** What connections read into while they carry much: fewer, larger system calls. */
const LARGE_BYTES = 512 * 1024;

/**
 * Large buffers for whoever fills small ones, as long as there are any; the others carry on with small ones. Who holds one
 * and does not finish takes speed from others, never memory. What is in a buffer is what the network saw.
 */
export class ReadBuffers {
  readonly #most: number;
  readonly #free: Uint8Array[] = [];
  #made = 0;

  /** @param sizeBytes of all together */
  constructor(sizeBytes: number) {
    this.#most = Math.floor(sizeBytes / LARGE_BYTES);
  }

  /** How many can be taken now. */
  get free(): number {
    return this.#free.length + this.#most - this.#made;
  }

  /** Undefined: all are in use. */
  take(): Uint8Array | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#made === this.#most) return free;
    this.#made += 1;
    return Buffer.allocUnsafeSlow(LARGE_BYTES);
  }

  /** Nobody reads into it or writes from it any more. */
  give(buffer: Uint8Array): void {
    this.#free.push(buffer);
  }

  /** Its connection has ended, and the system may still look at it: the memory goes, another can be made. */
  drop(): void {
    this.#made -= 1;
  }
}
