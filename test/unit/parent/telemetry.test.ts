import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnixLink as EnclaveLink } from '../../../enclave/link/unix.ts';
import { Telemetry } from '../../../enclave/telemetry.ts';
import { UnixLink } from '../../../parent/link/unix.ts';
import { prometheusText } from '../../../parent/prometheus.ts';
import { Relay } from '../../../parent/relay.ts';
import { TelemetrySink } from '../../../parent/telemetry.ts';
import { parseAddress } from '../../../shared/address.ts';
import { codeOf } from '../../../shared/errors.ts';
import { keyId, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import {
  decodeTelemetry,
  encodeTelemetry,
  type LogItem,
  MAX_TELEMETRY_LINE_BYTES,
} from '../../../shared/telemetry.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { freePort, until } from '../net/nodes.ts';

const item: LogItem = {
  kind: 'log',
  level: 'warn',
  event: 'dial-failed',
  fields: { party: partyId(2), code: 'TIMEOUT', keyId: keyId('ab'.repeat(32)), address: 'a.example:70' },
};

describe('telemetry line', () => {
  it('telemetry line: log lines and metrics come back as they went in', () => {
    expect(decodeTelemetry(encodeTelemetry(item))).toEqual(item);
    const metrics = { kind: 'metrics', metrics: { keys_ready_total: 2, memory_bytes: 10 } } as const;
    expect(decodeTelemetry(encodeTelemetry(metrics))).toEqual(metrics);
  });

  const lines: readonly [string, unknown][] = [
    ['a field that is not on the list', { ...item, fields: { share: 'x' } }],
    ['text instead of a word', { ...item, fields: { step: 'two words' } }],
    ['digits in a word', { ...item, fields: { service: 'f4d48b81' } }],
    ['an event built from data', { ...item, event: 'key-0123456789abcdef' }],
    ['a long word', { ...item, event: 'a'.repeat(41) }],
    ['bytes as text', { ...item, fields: { bytes: 'AQID' } }],
    ['a fraction', { ...item, fields: { count: 0.1234567890123 } }],
    ['an array', { ...item, fields: { ms: [1] } }],
    ['a short digest', { ...item, fields: { networkId: 'abcd' } }],
    ['another property', { ...item, more: 1 }],
    ['an unknown metric', { kind: 'metrics', metrics: { secret: 1 } }],
    ['a metric that is text', { kind: 'metrics', metrics: { memory_bytes: '1' } }],
    ['a metric that is negative', { kind: 'metrics', metrics: { memory_bytes: -1 } }],
    ['an inherited name', { kind: 'metrics', metrics: { constructor: 1 } }],
    ['no object', 7],
  ];

  it.each(lines)('telemetry line: %s is refused', (_name, value) => {
    expect(() => decodeTelemetry(utf8(JSON.stringify(value)))).toThrow(
      expect.objectContaining({ code: 'BAD_ENCODING' }),
    );
  });

  it('telemetry line: any bytes are an item or an error with a code, and too many are TOO_LARGE', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json().map(utf8)), (bytes) => {
        try {
          decodeTelemetry(bytes);
        } catch (error) {
          expect(codeOf(error)).toBe('BAD_ENCODING');
        }
      }),
    );
    expect(() => decodeTelemetry(new Uint8Array(MAX_TELEMETRY_LINE_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
  });
});

describe('telemetry', () => {
  let directory = '';
  let relay: Relay | undefined;
  let telemetry: Telemetry | undefined;
  let items: LogItem[] = [];
  let sink = new TelemetrySink(() => {});

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kms-telemetry-'));
    items = [];
    sink = new TelemetrySink((one) => items.push(one));
  });

  afterEach(async () => {
    telemetry?.close();
    await relay?.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function parent(): Promise<void> {
    relay = await Relay.open({
      link: new UnixLink(directory),
      listen: parseAddress(`127.0.0.1:${await freePort()}`),
      allowed: async () => new Set(),
      log: silent,
      onTelemetry: (stream) => sink.take(stream),
    });
  }

  it('telemetry: log lines and metrics arrive, those from before there was a parent too', async () => {
    telemetry = Telemetry.open({ link: new EnclaveLink(directory), metricsEveryMs: 20 });
    telemetry.log('info', 'node-open', { step: 'ready' });
    await parent();
    await until(() => items.length === 1);
    telemetry.log('warn', 'dial-failed', { party: partyId(3), code: 'TIMEOUT' });
    await until(() => sink.metrics.dials_failed_total === 1);
    expect(items.map(({ event, fields }) => [event, fields])).toEqual([
      ['node-open', { step: 'ready' }],
      ['dial-failed', { party: 3, code: 'TIMEOUT' }],
    ]);
    const text = prometheusText(relay!.counters, sink);
    expect(text).toMatch(
      /^# TYPE kms_enclave_dials_failed_total counter\nkms_enclave_dials_failed_total 1$/m,
    );
    expect(text).toMatch(/^kms_enclave_memory_bytes [0-9]+$/m);
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(?:# (?:HELP|TYPE) kms_[a-z_]+ .+|kms_[a-z_]+(?:\{reason="[a-z-]+"\})? [0-9]+)$/,
      );
    }
  });

  it('telemetry: goes on with the next parent, and never stops the enclave', async () => {
    await parent();
    telemetry = Telemetry.open({ link: new EnclaveLink(directory), metricsEveryMs: 20 });
    telemetry.log('info', 'one');
    await until(() => items.length === 1);
    await relay!.close();
    for (let i = 0; i < 2_000; i++) telemetry.log('info', 'while-away');
    await parent();
    await until(() => (sink.metrics.log_lines_dropped_total ?? 0) > 0);
    telemetry.log('info', 'last');
    await until(() => items.at(-1)?.event === 'last');
    expect(items.length).toBeLessThan(600);
  });

  it('telemetry: a process that ends waits for its last lines, but not for a parent that is not there', async () => {
    telemetry = Telemetry.open({ link: new EnclaveLink(directory) });
    telemetry.log('error', 'failed', { code: 'STORE_FAILED' });
    const startedMs = performance.now();
    await telemetry.flush(150);
    expect(performance.now() - startedMs).toBeGreaterThan(100);
    await parent();
    await telemetry.flush(10_000);
    expect(performance.now() - startedMs).toBeLessThan(9_000);
    telemetry.close();
    await until(() => items.length === 1);
  });

  it('telemetry: a value that its field does not take leaves no trace but a count', async () => {
    await parent();
    telemetry = Telemetry.open({ link: new EnclaveLink(directory), metricsEveryMs: 20 });
    const secret = 'c0ffee'.repeat(8);
    telemetry.log('info', 'first', { step: secret });
    const smuggled: object = { share: secret };
    telemetry.log('info', 'second', smuggled);
    telemetry.log('info', 'third');
    await until(() => sink.metrics.log_lines_dropped_total === 2);
    await until(() => items.length === 1);
    expect(items[0]?.event).toBe('third');
  });

  it('telemetry: malformed and endless lines are dropped and counted, those around them are kept', async () => {
    await parent();
    const stream = await new EnclaveLink(directory).connect('egress');
    const good = Buffer.from(encodeTelemetry(item));
    const newline = Buffer.from('\n');
    stream.write('telemetry\n');
    const all = [good, Buffer.from('{"kind":"log"}'), good, Buffer.alloc(300_000, 97), good];
    for (const line of all) stream.write(Buffer.concat([line, newline]));
    await until(() => items.length === 3);
    expect(sink.dropped).toBe(2);
    // However it is cut.
    for (const byte of Buffer.concat([good, newline])) stream.write(Buffer.of(byte));
    await until(() => items.length === 4);
    stream.destroy();
  });
});
