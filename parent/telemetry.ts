import type { Duplex } from 'node:stream';
import type { EnclaveMetrics } from '../shared/metrics.ts';
import { decodeTelemetry, type LogItem, MAX_TELEMETRY_LINE_BYTES } from '../shared/telemetry.ts';

const NEWLINE = 10;

/**
 * Takes the enclave's log lines and metrics. A line that is not one of shared/telemetry.ts is dropped and counted: what
 * is written and served has passed through that list of fields. The newest stream replaces the one before it.
 */
export class TelemetrySink {
  readonly #write: (item: LogItem) => void;
  #stream: Duplex | undefined;
  #metrics: EnclaveMetrics = {};
  #lines = 0;
  #dropped = 0;

  constructor(write: (item: LogItem) => void) {
    this.#write = write;
  }

  /** The last reading of each; counters start again with the enclave. */
  get metrics(): EnclaveMetrics {
    return this.#metrics;
  }

  get lines(): number {
    return this.#lines;
  }

  get dropped(): number {
    return this.#dropped;
  }

  take(stream: Duplex): void {
    this.#stream?.destroy();
    this.#stream = stream;
    // A new process life of the enclave begins its counters anew, and what it does not report is not known.
    this.#metrics = {};
    let pending: Buffer = Buffer.alloc(0);
    let overlong = false;
    stream.on('data', (chunk: Buffer) => {
      let rest = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      for (;;) {
        const end = rest.indexOf(NEWLINE);
        if (end < 0) break;
        if (!overlong) this.#line(rest.subarray(0, end));
        overlong = false;
        rest = rest.subarray(end + 1);
      }
      // Of a line without end nothing is kept but the fact.
      if (rest.length > MAX_TELEMETRY_LINE_BYTES) {
        if (!overlong) this.#dropped += 1;
        overlong = true;
      }
      pending = overlong ? Buffer.alloc(0) : Buffer.from(rest);
    });
    stream.resume();
  }

  #line(line: Buffer): void {
    try {
      const item = decodeTelemetry(line);
      this.#lines += 1;
      if (item.kind === 'log') this.#write(item);
      else this.#metrics = item.metrics;
    } catch {
      this.#dropped += 1;
    }
  }
}
