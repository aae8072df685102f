import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { imageFiles } from '../../infra/image/build.ts';
import { MACHINE_PARTY, upLabNetwork } from '../../infra/lab/network.ts';
import { findLab } from '../../infra/lab/setup.ts';
import type { LocalNetwork } from '../../infra/local/network.ts';
import { type Job, median, wallSeconds } from './job.ts';

const BOOTS = 3;
const BOOT_LIMIT_S = 240;
const POLL_MS = 20;
/** As the console in the machine's log has it. */
const READY = String.raw`step\":\"ready`;

/** The real image in the lab's emulated machine, wall clock. None where lab or image have not been made: said on stderr. */
export function imageJobs(): readonly Job[] {
  const { eif } = imageFiles('lab');
  if (findLab() === undefined || !existsSync(eif)) {
    process.stderr.write("SKIPPED: image-*: they need the lab and the image ('make lab-setup eif')\n");
    return [];
  }
  return [
    {
      figures: [
        {
          ...{ name: 'image-boot-ready', unit: 's', target: 15 },
          about: 'a member restarts in the emulated machine: from power on to ready, by its console',
        },
      ],
      ...{ warmUps: 0, runs: 1, seconds: 90 },
      prepare: () => bootSeconds,
    },
    {
      figures: [
        { name: 'image-size', unit: 'bytes', target: 160e6, about: "the lab build's enclave image file" },
      ],
      ...{ warmUps: 0, runs: 1, seconds: 1 },
      prepare: () => async () => [(await stat(eif)).size],
    },
  ];
}

async function bootSeconds(): Promise<readonly number[]> {
  const home = await mkdtemp(join(tmpdir(), 'kms-bench-'));
  const network = await upLabNetwork({ stateDirectory: join(home, 'state'), n: 4, t: 1 });
  try {
    const boots: number[] = [];
    while (boots.length < BOOTS) boots.push(await bootOnce(network));
    return [median(boots)];
  } finally {
    await network.down({ erase: true });
    await rm(home, { recursive: true, force: true });
  }
}

async function bootOnce(network: LocalNetwork): Promise<number> {
  await network.stopNode(MACHINE_PARTY, { signal: 'SIGKILL' });
  const log = join(network.directory, 'logs', `${MACHINE_PARTY}-enclave.log`);
  const { size } = await stat(log);
  const startedS = wallSeconds();
  await network.startNode(MACHINE_PARTY);
  while (!(await readFile(log)).subarray(size).includes(READY)) {
    if (wallSeconds() - startedS > BOOT_LIMIT_S) throw new Error(`the machine is not ready; see ${log}`);
    await sleep(POLL_MS);
  }
  return wallSeconds() - startedS;
}
