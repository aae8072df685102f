import { parseAddress } from './address.ts';
import { type ErrorCode, KmsError } from './errors.ts';
import { digest, keyId, MAX_PARTIES, partyId } from './ids.ts';
import type { LogFields, LogLevel, LogReason } from './log.ts';
import { type EnclaveMetrics, isEnclaveMetric, isMeasure } from './metrics.ts';
import { utf8 } from './wire/bytes.ts';

/**
 * Log lines and metrics on their way from an enclave to its parent: an egress stream whose first line names no address but
 * TELEMETRY, then one JSON object per line. Both ends know a fixed list of fields and the shape of each; what is not on
 * it is not written and not read. Words are letters and dashes: hex, base64 and numbers do not fit into one.
 */

/** No address: it has no port. */
export const TELEMETRY = 'telemetry';
/** Without the newline. */
export const MAX_TELEMETRY_LINE_BYTES = 2048;

export interface LogItem {
  readonly kind: 'log';
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

export interface MetricsItem {
  readonly kind: 'metrics';
  readonly metrics: EnclaveMetrics;
}

export type TelemetryItem = LogItem | MetricsItem;

/** The line without its newline. @throws {KmsError} BAD_INPUT for a value that its field does not take */
export function encodeTelemetry(item: TelemetryItem): Uint8Array {
  const { kind, ...rest } = item.kind === 'log' ? logOf({ ...item }) : metricsOf({ ...item });
  return utf8(JSON.stringify({ kind, ...rest }));
}

/** @throws {KmsError} TOO_LARGE, BAD_ENCODING */
export function decodeTelemetry(line: Uint8Array): TelemetryItem {
  if (line.length > MAX_TELEMETRY_LINE_BYTES) throw new KmsError('TOO_LARGE', 'telemetry line is too long');
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
    const entries = recordOf(value);
    return entries.kind === 'log' ? logOf(entries) : metricsOf(entries);
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'this is no line of telemetry', { cause });
  }
}

const WORD = /^[a-z](?:[a-z-]{0,38}[a-z])?$/;
const CODE = /^[A-Z][A-Z_]{0,30}[A-Z]$/;

type Reader<T> = (value: unknown) => T;

const word: Reader<string> = (value) => {
  if (typeof value !== 'string' || !WORD.test(value)) throw refused('a word of letters and dashes', value);
  return value;
};

const count: Reader<number> = (value) => {
  if (!isMeasure(value)) throw refused('a count', value);
  return value;
};

const text: Reader<string> = (value) => {
  if (typeof value !== 'string') throw refused('text', value);
  return value;
};

/** How each field of shared/log.ts is read; a field that is added there is refused by the compiler until it is here. */
const FIELDS: { readonly [Name in keyof Required<LogFields>]: Reader<Required<LogFields>[Name]> } = {
  party: (value) => partyId(count(value), MAX_PARTIES),
  peers: count,
  code: (value) => {
    if (typeof value !== 'string' || !CODE.test(value)) throw refused('an error code', value);
    return value as ErrorCode;
  },
  reason: (value) => word(value) as LogReason,
  networkId: (value) => digest(text(value)),
  keyId: (value) => keyId(text(value)),
  address: (value) => {
    parseAddress(text(value));
    return text(value);
  },
  service: word,
  step: word,
  bytes: count,
  count,
  pid: count,
  ms: (value) => count(typeof value === 'number' ? Math.round(value) : value),
};

function isField(name: string): name is keyof LogFields {
  return Object.hasOwn(FIELDS, name);
}

function logOf(entries: Readonly<Record<string, unknown>>): LogItem {
  const { kind, level, event, fields, ...more } = entries;
  if (kind !== 'log' || Object.keys(more).length > 0) throw refused('a log line', kind);
  if (level !== 'info' && level !== 'warn' && level !== 'error') throw refused('a level', level);
  const read = Object.entries(recordOf(fields)).filter(([, value]) => value !== undefined);
  const known = read.map(([name, value]) => {
    if (!isField(name)) throw refused('a field of the log', name);
    return [name, FIELDS[name](value)] as const;
  });
  return { kind, level, event: word(event), fields: Object.fromEntries(known) };
}

function metricsOf(entries: Readonly<Record<string, unknown>>): MetricsItem {
  const { kind, metrics, ...more } = entries;
  if (kind !== 'metrics' || Object.keys(more).length > 0) throw refused('telemetry', kind);
  const read = Object.entries(recordOf(metrics)).map(([name, value]) => {
    if (!isEnclaveMetric(name)) throw refused('a metric', name);
    return [name, count(value)] as const;
  });
  return { kind, metrics: Object.fromEntries(read) };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('an object', value);
  return Object.fromEntries(Object.entries(value));
}

/** Never repeats the value: it is what must not get out. */
function refused(wanted: string, value: unknown): KmsError {
  return new KmsError('BAD_INPUT', `expected ${wanted}, not this ${typeof value}`);
}
