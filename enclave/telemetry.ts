import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import type { EnclaveMetric, EnclaveMetrics } from '../shared/metrics.ts';
import { encodeTelemetry, TELEMETRY, type TelemetryItem } from '../shared/telemetry.ts';
import { concat, utf8 } from '../shared/wire/bytes.ts';

export interface TelemetryOptions {
  readonly link: Link<Duplex>;
  readonly metricsEveryMs?: number;
}

/** Lines kept while the parent does not take them; further ones are dropped and counted. */
const MAX_QUEUED = 512;
const METRICS_EVERY_MS = 5_000;
const BACKOFF_MS = { first: 50, last: 2_000 };
const FLUSH_POLL_MS = 10;
const NEWLINE = Uint8Array.of(10);

/** Which events count as what. */
const COUNTED: ReadonlyMap<string, EnclaveMetric> = new Map<string, EnclaveMetric>([
  ['connection-refused', 'connections_refused_total'],
  ['dial-failed', 'dials_failed_total'],
  ['peer-up', 'peers_gained_total'],
  ['peer-down', 'peers_lost_total'],
  ['message-dropped', 'messages_dropped_total'],
  ['key-ready', 'keys_ready_total'],
  ['key-generation-failed', 'key_generations_failed_total'],
]);

/**
 * The enclave's log and metrics on their way to the parent. Nothing waits for it: without a parent, or with one that does
 * not read, lines are dropped. Nothing is read from the parent.
 */
export class Telemetry {
  readonly #link: Link<Duplex>;
  readonly #metricsTimer: NodeJS.Timeout;
  readonly #counts = new Map<EnclaveMetric, number>();
  readonly #startedAtMs = performance.now();
  #queue: Uint8Array[] = [];
  #stream: Duplex | undefined;
  #blocked = false;
  #retry: NodeJS.Timeout | undefined;
  #backoffMs = BACKOFF_MS.first;
  #closed = false;

  private constructor({ link, metricsEveryMs = METRICS_EVERY_MS }: TelemetryOptions) {
    this.#link = link;
    this.#metricsTimer = setInterval(() => this.#sendMetrics(), metricsEveryMs).unref();
  }

  /** Begins to look for a parent. */
  static open(options: TelemetryOptions): Telemetry {
    const telemetry = new Telemetry(options);
    void telemetry.#connect();
    return telemetry;
  }

  /** A log that ends in the parent. It never throws: a line with a value that its field does not take is dropped. */
  get log(): Log {
    return (level, event, fields = {}) => {
      this.#count('log_lines_total');
      if (level !== 'info') this.#count(level === 'warn' ? 'warnings_total' : 'errors_total');
      const counted = COUNTED.get(event);
      if (counted !== undefined) this.#count(counted);
      this.#send({ kind: 'log', level, event, fields });
    };
  }

  get metrics(): EnclaveMetrics {
    return {
      ...Object.fromEntries(this.#counts),
      uptime_seconds: Math.floor((performance.now() - this.#startedAtMs) / 1000),
      memory_bytes: process.memoryUsage.rss(),
    };
  }

  /** Resolves when the parent's side of the link has everything, or when the time is over: a process that ends waits for it. */
  async flush(withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    const isDone = (): boolean => this.#queue.length === 0 && this.#stream?.writableLength === 0;
    while (!isDone() && performance.now() < deadlineMs) await sleep(FLUSH_POLL_MS);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#metricsTimer);
    clearTimeout(this.#retry);
    this.#stream?.destroy();
  }

  #count(name: EnclaveMetric): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  #send(item: TelemetryItem): void {
    try {
      if (this.#queue.length >= MAX_QUEUED) this.#count('log_lines_dropped_total');
      else this.#queue.push(concat(encodeTelemetry(item), NEWLINE));
    } catch {
      this.#count('log_lines_dropped_total');
    }
    this.#flush();
  }

  #sendMetrics(): void {
    if (this.#stream !== undefined && !this.#blocked) this.#send({ kind: 'metrics', metrics: this.metrics });
  }

  #flush(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#blocked || this.#queue.length === 0) return;
    const lines = concat(...this.#queue);
    this.#queue = [];
    this.#blocked = !stream.write(lines);
  }

  async #connect(): Promise<void> {
    try {
      const stream = await this.#link.connect('egress');
      if (this.#closed) {
        stream.destroy();
        return;
      }
      // The parent has nothing to say here.
      stream.once('data', () => stream.destroy());
      stream.on('drain', () => {
        this.#blocked = false;
        this.#flush();
      });
      stream.on('error', () => stream.destroy());
      stream.once('close', () => this.#lost());
      stream.write(utf8(`${TELEMETRY}\n`));
      this.#stream = stream;
      this.#blocked = false;
      this.#sendMetrics();
      this.#flush();
      // Only a parent that keeps the stream is one: another is asked ever less often.
      setTimeout(() => {
        if (this.#stream === stream) this.#backoffMs = BACKOFF_MS.first;
      }, BACKOFF_MS.last).unref();
    } catch {
      this.#lost();
    }
  }

  #lost(): void {
    this.#stream = undefined;
    if (this.#closed) return;
    this.#retry = setTimeout(() => void this.#connect(), this.#backoffMs).unref();
    this.#backoffMs = Math.min(2 * this.#backoffMs, BACKOFF_MS.last);
  }
}
