/** A question whose answer is not needed any more may still end by itself: to hang up on it costs the next one a new connection. */
const GRACE_MS = 250;

/** How long endpoints are waited for with some questions: until a deadline, and only a moment longer once enough is known. */
export class Patience {
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(deadlineMs: number) {
    this.#timer = this.#endIn(deadlineMs);
  }

  /** Aborts questions that nobody waits for any more. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** These are all the questions; once they have ended, nothing is left to wait for. */
  with<T>(questions: readonly Promise<T>[]): readonly Promise<T>[] {
    void Promise.allSettled(questions).then(() => {
      this.#isOver = true;
      clearTimeout(this.#timer);
    });
    return questions;
  }

  /** No further answer is needed. */
  enough(): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = this.#endIn(GRACE_MS);
  }

  #endIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#ending.abort(), ms).unref();
  }
}
