import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../../infra/local/process.ts';
import { probe } from '../../parent/health.ts';
import { UnixLink } from '../../parent/link/unix.ts';
import { Relay } from '../../parent/relay.ts';
import { silent } from '../../shared/log.ts';
import { type Job, wallSeconds } from './job.ts';

const POLL_MS = 10;
const START_LIMIT_SECONDS = 30;

/** Whole enclave processes: what one holds, and how soon one serves. */
export function enclaveProcessJobs(): readonly Job[] {
  return [
    {
      figures: [
        {
          ...{ name: 'enclave-memory-13-4', unit: 'bytes', target: 300e6 },
          about: 'peak resident memory of an enclave process with one bfv-8192 key, 10 vectors decrypted',
        },
      ],
      ...{ warmUps: 0, runs: 3, seconds: 8 },
      prepare: () => async () => {
        const { stdout } = await promisify(execFile)(process.execPath, [pathOf('enclave-memory.ts')]);
        return [Number(stdout)];
      },
    },
    {
      figures: [
        {
          ...{ name: 'cold-start-ready', unit: 's', target: 2 },
          about: 'a mock enclave: from process start to an answer through its parent, wall clock',
        },
      ],
      ...{ warmUps: 1, runs: 5, seconds: 8 },
      prepare: () => async () => [await coldStart()],
    },
  ];
}

async function coldStart(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'kms-bench-'));
  const listen = { host: '127.0.0.1', port: await freePort() };
  const none = async (): Promise<ReadonlySet<string>> => new Set();
  const limits = { acceptsPerSecond: 1000, acceptBurst: 1000 };
  const link = new UnixLink(directory);
  const relay = await Relay.open({ link, listen, allowed: none, log: silent, limits });
  const configFile = join(directory, 'enclave.json');
  const config = { dataDirectory: join(directory, 'sealed'), socketDirectory: directory };
  await writeFile(configFile, JSON.stringify({ ...config, roundMs: 1_000, openingMs: 60_000 }));
  const startedAt = wallSeconds();
  const enclave = spawn(process.execPath, [pathOf('../../enclave/main.ts'), '--config', configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    while (!(await probe(listen)).ok) {
      if (wallSeconds() - startedAt > START_LIMIT_SECONDS) throw new Error('the enclave does not start');
      await sleep(POLL_MS);
    }
    return wallSeconds() - startedAt;
  } finally {
    enclave.kill('SIGKILL');
    await once(enclave, 'exit');
    await relay.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function pathOf(entry: string): string {
  return fileURLToPath(new URL(entry, import.meta.url));
}
