import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnixLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { TelemetrySink } from '../../../parent/telemetry.ts';
import { parseAddress } from '../../../shared/address.ts';
import { silent } from '../../../shared/log.ts';
import type { LogItem } from '../../../shared/telemetry.ts';
import { freePort, until } from '../../unit/net/nodes.ts';

const ENTRY = fileURLToPath(new URL('../../../enclave/main.ts', import.meta.url));

let directory = '';
let relay: Relay;
let sink: TelemetrySink;
let items: LogItem[] = [];
let enclave: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-boot-'));
  items = [];
  sink = new TelemetrySink((item) => items.push(item));
  relay = await Relay.open({
    link: new UnixLink(directory),
    listen: parseAddress(`127.0.0.1:${await freePort()}`),
    allowed: async () => new Set(),
    log: silent,
    onTelemetry: (stream) => sink.take(stream),
  });
  const config = { dataDirectory: join(directory, 'sealed'), socketDirectory: directory };
  await writeFile(
    join(directory, 'enclave.json'),
    JSON.stringify({ ...config, roundMs: 100, openingMs: 100 }),
  );
});

afterEach(async () => {
  enclave?.kill('SIGKILL');
  await relay.close();
  await rm(directory, { recursive: true, force: true });
});

/** An enclave process whose own output nobody sees, as that of a real one. */
function start(): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', ENTRY, '--config', join(directory, 'enclave.json')];
  enclave = spawn(process.execPath, argv, { stdio: 'ignore' });
  return enclave;
}

const events = (): readonly string[] => items.map(({ event }) => event);

describe('telemetry of an enclave process', () => {
  it('telemetry: log and metrics reach the parent from the first line to the last', async () => {
    const process = start();
    await until(() => events().includes('node-open'));
    expect(events()[0]).toBe('started');
    expect(items[0]?.fields.pid).toBe(process.pid);
    await until(() => (sink.metrics.memory_bytes ?? 0) > 0);
    const exited = once(process, 'exit');
    process.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    await until(() => events().at(-1) === 'stopping');
    expect(sink.dropped).toBe(0);
  });

  it('telemetry: a boot that fails says why', async () => {
    await rm(join(directory, 'sealed'), { recursive: true, force: true });
    await writeFile(join(directory, 'sealed'), 'no directory');
    const [code] = await once(start(), 'exit');
    expect(code).toBe(1);
    await until(() => events().includes('failed'));
    expect(items.at(-1)).toMatchObject({ level: 'error', fields: { code: 'STORE_FAILED' } });
  });
});
