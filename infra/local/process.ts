import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KmsError } from '../../shared/errors.ts';

/** A process, so that another one that got its number later is never taken for it. */
export interface ProcessId {
  readonly pid: number;
  /** Opaque: when it started, on which boot. */
  readonly started: string;
}

const COMPILED = fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url));
/** Below the ports that systems give to connections that go out: none of those takes a port between its being found and being used. */
const FIRST_PORT = 10_240;
const END_OF_PORTS = 32_768;
const MAX_TRIES = 1_000;
/** By this process, each once. */
const handedOut = new Set<number>();
const STOP_TIMEOUT_MS = 3_000;
const POLL_MS = 20;

/** Waits for a line before it becomes the program; whoever was to say it may have died. */
const GATE = 'read -r _ && exec "$0" "$@" </dev/null';

/** Told of a process before it does anything. */
export type Remember = (id: ProcessId) => Promise<void>;

/**
 * Starts a Node process in a process group of its own that outlives this one.
 * @param logFile its standard output and error are appended
 * @param conditions of package.json's "imports": another build
 * @throws {KmsError} UNAVAILABLE if it cannot be started
 */
export function startProcess(
  entry: string,
  args: readonly string[],
  logFile: string,
  {
    conditions = [],
    remember,
  }: { readonly conditions?: readonly string[]; readonly remember?: Remember } = {},
): Promise<ProcessId> {
  const options = [
    '--disable-warning=ExperimentalWarning',
    ...conditions.map((condition) => `--conditions=${condition}`),
  ];
  return startProgram(process.execPath, [...options, entry, ...args], logFile, remember);
}

/**
 * As startProcess(), for any program. It runs only once remember() is done: whoever dies in between leaves nothing that nobody
 * knows of.
 */
export async function startProgram(
  program: string,
  args: readonly string[],
  logFile: string,
  remember: Remember = async () => {},
): Promise<ProcessId> {
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  await using log = await open(logFile, 'a', 0o600);
  const child = spawn('/bin/sh', ['-c', GATE, program, ...args], {
    detached: true,
    stdio: ['pipe', log.fd, log.fd],
    // No environment reaches a node but what Node needs to find itself, and what it compiled before: half of a start.
    env: { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE: COMPILED },
  });
  child.unref();
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  try {
    const { pid } = child;
    const started = pid === undefined ? undefined : await startOf(pid);
    if (pid === undefined || started === undefined) {
      throw new KmsError('UNAVAILABLE', `${args[0] ?? program} did not start; see ${logFile}`);
    }
    await remember({ pid, started });
    child.stdin?.write('\n');
    return { pid, started };
  } finally {
    child.stdin?.end();
  }
}

export async function isAlive(id: ProcessId): Promise<boolean> {
  return (await startOf(id.pid)) === id.started;
}

/** Ends the process and its group; resolves when it is gone. SIGTERM becomes SIGKILL when it is not heeded. */
export async function stopProcess(id: ProcessId, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS;
  let sent: 'SIGTERM' | 'SIGKILL' | undefined;
  while (await isAlive(id)) {
    const wanted = performance.now() > deadlineMs ? 'SIGKILL' : signal;
    if (sent !== wanted) signalGroup(id.pid, wanted);
    sent = wanted;
    await sleep(POLL_MS);
  }
}

function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended in between.
  }
}

/** Undefined if there is no such process, or only its exit status. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return startByPs(pid);
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold anything; what follows its last parenthesis are fields 3, 4, ...
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    // Of a process that ends, the first thread may be gone while others still hold its sockets (field 20 counts them).
    if ((state === 'Z' || state === 'X') && Number(fields[17]) <= 1) return undefined;
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

async function startByPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', `${pid}`]);
    const [state, ...started] = stdout.trim().split(/\s+/);
    return state === undefined || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}

/** A loopback port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new KmsError('INTERNAL', 'no port');
  return port;
}

/** Ports that nobody listened on a moment ago, none of them handed out before. @throws {KmsError} UNAVAILABLE */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > MAX_TRIES) throw new KmsError('UNAVAILABLE', 'this machine has no free ports');
    const port = randomInt(FIRST_PORT, END_OF_PORTS);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Whether somebody listens on that loopback port. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
