/**
 * The numbers that a node shows its operator, with their constant names. A measure is a non-negative safe integer:
 * there is no label, no text and no fraction, so that no secret has a place in one.
 */

export interface MetricMeaning {
  /** A counter only grows within a process life; a gauge is what it is now. */
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
}

/** What enclaves report. */
export const ENCLAVE_METRICS = {
  uptime_seconds: { kind: 'gauge', help: 'Seconds since the enclave process started' },
  memory_bytes: { kind: 'gauge', help: 'Resident memory of the enclave process' },
  log_lines_total: { kind: 'counter', help: 'Log lines written' },
  log_lines_dropped_total: { kind: 'counter', help: 'Log lines that did not reach the parent' },
  warnings_total: { kind: 'counter', help: 'Log lines of level warn' },
  errors_total: { kind: 'counter', help: 'Log lines of level error' },
  connections_refused_total: { kind: 'counter', help: 'Incoming connections that the enclave refused' },
  dials_failed_total: { kind: 'counter', help: 'Attempts to reach a peer that failed' },
  peers_lost_total: { kind: 'counter', help: 'Peer streams that ended' },
  peers_gained_total: { kind: 'counter', help: 'Peer streams that came up' },
  messages_dropped_total: { kind: 'counter', help: 'Peer messages that were refused' },
  keys_ready_total: { kind: 'counter', help: 'Keys that were generated in this process life' },
  key_generations_failed_total: { kind: 'counter', help: 'Key generations that failed' },
} as const satisfies Readonly<Record<string, MetricMeaning>>;

export type EnclaveMetric = keyof typeof ENCLAVE_METRICS;

/** A reading of some of them; what is absent was not measured. */
export type EnclaveMetrics = { readonly [Name in EnclaveMetric]?: number };

export function isEnclaveMetric(name: string): name is EnclaveMetric {
  return Object.hasOwn(ENCLAVE_METRICS, name);
}

export function isMeasure(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
