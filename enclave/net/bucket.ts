const OVERDRAFT = 0.1;

/**
 * Milliseconds of a core: fills with time, never above its size. What failed overdraws it a little, but only so far that it is
 * usable again within seconds: whoever behaves again is served again.
 */
export class Bucket {
  readonly #sizeMs: number;
  readonly #share: number;
  #levelMs: number;
  #atMs: number;

  constructor(sizeMs: number, share: number, nowMs: number) {
    this.#sizeMs = sizeMs;
    this.#share = share;
    this.#levelMs = sizeMs;
    this.#atMs = nowMs;
  }

  has(costMs: number, nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#levelMs >= costMs;
  }

  draw(costMs: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#levelMs = Math.max(-this.#sizeMs * OVERDRAFT, this.#levelMs - costMs);
  }

  #fill(nowMs: number): void {
    this.#levelMs = Math.min(this.#sizeMs, this.#levelMs + (nowMs - this.#atMs) * this.#share);
    this.#atMs = nowMs;
  }
}
