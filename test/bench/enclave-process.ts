import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LocalNetwork } from '../../infra/local/network.ts';
import { probe } from '../../parent/health.ts';
import { parseAddress } from '../../shared/address.ts';
import { type Job, wallSeconds } from './job.ts';

const PARTY = 2;
/** For its peers to notice that it is gone. */
const DOWN_MS = 1_000;
/** A parent lets nobody connect much more often. */
const POLL_MS = 50;
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
          ...{ name: 'cold-start-answer', unit: 's' },
          about: 'a mock enclave: from process start to an answer through its parent, wall clock',
        },
        {
          ...{ name: 'cold-start-ready', unit: 's', target: 2 },
          about: 'the same until it is ready: one of four nodes, the others up, wall clock',
        },
      ],
      ...{ warmUps: 0, runs: 5, seconds: 40 },
      prepare: () => coldStart,
    },
  ];
}

/** Of party 2: it is dialled by one peer and dials two. */
async function coldStart(): Promise<readonly number[]> {
  const directory = await mkdtemp(join(tmpdir(), 'kms-bench-'));
  const network = await LocalNetwork.up({ stateDirectory: directory, n: 4, t: 1 });
  try {
    await network.stopNode(PARTY, { role: 'enclave', signal: 'SIGKILL' });
    await sleep(DOWN_MS);
    const listen = parseAddress(network.addresses[PARTY - 1] ?? '');
    const startedAt = wallSeconds();
    await network.startNode(PARTY, { role: 'enclave' });
    let answered: number | undefined;
    for (;;) {
      const health = await probe(listen);
      const seconds = wallSeconds() - startedAt;
      if (health.ok) answered ??= seconds;
      if (answered !== undefined && health.ok && health.phase === 'ready') return [answered, seconds];
      if (seconds > START_LIMIT_SECONDS) throw new Error('the enclave does not get ready');
      await sleep(POLL_MS);
    }
  } finally {
    await network.down({ erase: true });
  }
}

function pathOf(entry: string): string {
  return fileURLToPath(new URL(entry, import.meta.url));
}
