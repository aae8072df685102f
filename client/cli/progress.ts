export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const BAR_WIDTH = 24;
const REDRAW_EVERY_MS = 80;
const PLAIN_LINE_EVERY_MS = 5000;

/**
 * Progress of one long piece of work on stderr: a bar with the time left, redrawn in place on a terminal; elsewhere a
 * plain line per phase, and one every few seconds within a phase.
 */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #nowMs: () => number;
  readonly #title: string;
  readonly #startedMs: number;
  #phase: string | undefined;
  #shownMs = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(stream: ProgressStream, nowMs: () => number, title: string) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#title = title;
    this.#startedMs = nowMs();
  }

  /** @param total 0 when unknown */
  update(phase: string, done: number, total: number): void {
    const now = this.#nowMs();
    const every = this.#stream.isTTY === true ? REDRAW_EVERY_MS : PLAIN_LINE_EVERY_MS;
    if (phase === this.#phase && now - this.#shownMs < every) return;
    this.#phase = phase;
    this.#shownMs = now;
    const text = `${this.#title}: ${describe(phase, done, total, now - this.#startedMs)}`;
    if (this.#stream.isTTY === true) {
      this.#stream.write(`\r\x1b[2K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
      this.#drawn = true;
    } else {
      this.#stream.write(`${text}\n`);
    }
  }

  /** Removes the bar; call it whatever came of the work. */
  finish(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[2K');
    this.#drawn = false;
  }
}

function describe(phase: string, done: number, total: number, elapsedMs: number): string {
  if (total <= 0) return `${phase}, ${duration(elapsedMs)}`;
  const share = Math.min(1, Math.max(0, done / total));
  const filled = Math.round(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
  const left = share > 0 && share < 1 ? `, ${duration((elapsedMs * (1 - share)) / share)} left` : '';
  return `${bar} ${Math.floor(share * 100)}% ${phase}${left}`;
}

/** 850 ms, 1.4 s, 12 s, 3 min 20 s. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
