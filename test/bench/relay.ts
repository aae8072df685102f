import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type NetConnectOpts, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { TLS_POLICY } from '../../enclave/net/tls-policy.ts';
import { buildAddon, findCompiler, findHeaders } from '../../infra/build/native.ts';
import { freePort } from '../../infra/local/process.ts';
import { type Job, median, wallSeconds } from './job.ts';
import { ECHO, TRANSFER, TRANSFER_BYTES } from './relay-end.ts';

/**
 * What the parent costs: the same TLS connection from this process to an enclave's end in another, once over the unix
 * socket itself and once through a parent in a third process. Wall clock; direct and relayed take turns.
 */

const ROUND_TRIPS = 200;
/** Odd. */
const PAIRS = 9;
const CHUNK = Buffer.alloc(1 << 20, 0x5a);
const MICROSECONDS = 1e6;

interface Ends {
  readonly direct: NetConnectOpts;
  readonly relayed: NetConnectOpts;
}

export function relayJobs(): readonly Job[] {
  let ends: Promise<Ends> | undefined;
  const started = (): Promise<Ends> => {
    ends ??= startEnds();
    return ends;
  };
  return [
    {
      figures: [
        {
          ...{ name: 'relay-transfer-overhead-percent', unit: 'percent', target: 10 },
          about: '64 MiB over TLS through the parent, against the unix socket itself',
        },
        { name: 'relay-transfer-ms', unit: 'ms', about: 'the same transfer through the parent, wall clock' },
      ],
      ...{ warmUps: 1, runs: 5, seconds: 15 },
      prepare: () => async () => {
        const { direct, relayed } = await started();
        const times = await inTurns(
          () => transfer(direct),
          () => transfer(relayed),
        );
        const ratios = times.map(({ direct, relayed }) => relayed / direct);
        return [(median(ratios) - 1) * 100, median(times.map(({ relayed }) => relayed)) * 1000];
      },
    },
    {
      figures: [
        {
          ...{ name: 'relay-round-trip-overhead-us', unit: 'us', target: 100 },
          about: 'a small message there and back over TLS: what the parent adds',
        },
        {
          name: 'relay-round-trip-us',
          unit: 'us',
          about: 'the same round trip through the parent, wall clock',
        },
      ],
      ...{ warmUps: 1, runs: 5, seconds: 4 },
      prepare: () => async () => {
        const { direct, relayed } = await started();
        const times = await inTurns(
          () => roundTrip(direct),
          () => roundTrip(relayed),
        );
        const added = times.map(({ direct, relayed }) => relayed - direct);
        return [median(added) * MICROSECONDS, median(times.map(({ relayed }) => relayed)) * MICROSECONDS];
      },
    },
  ];
}

interface Pair {
  readonly direct: number;
  readonly relayed: number;
}

/** Each pair in seconds, one right after the other; neither is always the first. */
async function inTurns(
  direct: () => Promise<number>,
  relayed: () => Promise<number>,
): Promise<readonly Pair[]> {
  const pairs: Pair[] = [];
  for (let i = 0; i < PAIRS; i++) {
    if (i % 2 === 0) pairs.push({ direct: await direct(), relayed: await relayed() });
    else {
      const first = await relayed();
      pairs.push({ direct: await direct(), relayed: first });
    }
  }
  return pairs;
}

async function transfer(to: NetConnectOpts): Promise<number> {
  const socket = await open(to);
  const done = once(socket, 'data');
  socket.write(Uint8Array.of(TRANSFER));
  const startedAt = wallSeconds();
  for (let sent = 0; sent < TRANSFER_BYTES; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await once(socket, 'drain');
  }
  await done;
  const seconds = wallSeconds() - startedAt;
  socket.destroy();
  return seconds;
}

/** The median of many. */
async function roundTrip(to: NetConnectOpts): Promise<number> {
  const socket = await open(to);
  socket.write(Uint8Array.of(ECHO));
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const startedAt = wallSeconds();
    const answer = once(socket, 'data');
    socket.write(CHUNK.subarray(0, 64));
    await answer;
    times.push(wallSeconds() - startedAt);
  }
  socket.destroy();
  return median(times);
}

async function open(to: NetConnectOpts): Promise<TLSSocket> {
  const stream = createConnection(to);
  stream.setNoDelay(true);
  const socket = connect({ ...TLS_POLICY, socket: stream, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}

async function startEnds(): Promise<Ends> {
  const directory = mkdtempSync(join(tmpdir(), 'kms-bench-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'ingress.sock');
  const port = await freePort();
  const config = {
    listen: `127.0.0.1:${port}`,
    socketDirectory: directory,
    configurationsFile: join(directory, 'none'),
  };
  const configFile = join(directory, 'parent.json');
  writeFileSync(configFile, JSON.stringify(config));
  // As on a node: with it the kernel carries the bytes.
  if (findCompiler() !== undefined && findHeaders() !== undefined) buildAddon('splice');
  else process.stderr.write('no C compiler: the parent is measured without its native layer\n');
  await start('relay-end.ts', [path]);
  await start('../../parent/main.ts', ['--config', configFile]);
  await sleep(100);
  return { direct: { path }, relayed: { host: '127.0.0.1', port } };
}

/** A process that says when it is ready, and ends with this one. */
async function start(entry: string, args: readonly string[]): Promise<void> {
  const file = fileURLToPath(new URL(entry, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.stdout.resume();
  child.unref();
  if (child.stdout instanceof Socket) child.stdout.unref();
}
