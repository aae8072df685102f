import { randomBytes } from 'node:crypto';
import { digest } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import type { GaloisOption, KeyRequest } from '../../shared/protocol/keygen/request.ts';
import { keygenFactory } from '../simulator/committee-keys.ts';
import { Simulation } from '../simulator/simulation.ts';
import { cpuSeconds, type Job, median, wallSeconds } from './job.ts';
import type { Workbench } from './workbench.ts';

interface Ceremony {
  readonly n: number;
  readonly t: number;
  readonly galois: GaloisOption;
  readonly runs: number;
  /** Of one run, roughly. */
  readonly seconds: number;
  readonly targetSeconds?: number;
}

const ceremonies: readonly Ceremony[] = [
  { n: 4, t: 1, galois: 'none', runs: 5, seconds: 0.6, targetSeconds: 5 },
  { n: 4, t: 1, galois: 'sum', runs: 2, seconds: 2.5 },
  { n: 13, t: 4, galois: 'none', runs: 2, seconds: 17, targetSeconds: 90 },
];

/** Whole key generations of bfv-8192. */
export function keygenJobs({ kernel }: Workbench): readonly Job[] {
  return ceremonies.map((ceremony) => keygenJob(kernel, ceremony));
}

/**
 * All parties in this one process, seed setup and signatures included, over the simulator's calm network: its delays
 * and the protocol's timeouts pass in virtual time and cost nothing. So the CPU time is the committee's total work, of
 * which a party does an n-th.
 */
function keygenJob(kernel: Kernel, { n, t, galois, runs, seconds, targetSeconds }: Ceremony): Job {
  const size = `${galois === 'none' ? '' : `galois-${galois}-`}${n}-${t}`;
  const keys = galois === 'none' ? 'no Galois keys' : `Galois keys: ${galois}`;
  return {
    figures: [
      {
        name: `keygen-${size}`,
        unit: 's',
        about: `key generation by ${n} parties in one process, ${keys}`,
        ...(targetSeconds !== undefined && { target: targetSeconds }),
      },
      { name: `keygen-wall-${size}`, unit: 's', about: 'the same by the wall clock' },
      { name: `keygen-bytes-per-party-${size}`, unit: 'bytes', about: 'bytes that one party sends in it' },
    ],
    warmUps: n === 4 && galois === 'none' ? 1 : 0,
    runs,
    seconds: runs * seconds,
    prepare: () => () => generate(kernel, n, t, galois),
  };
}

/** @returns seconds of CPU time, seconds by the wall clock, bytes sent per party */
function generate(kernel: Kernel, n: number, t: number, galois: GaloisOption): readonly number[] {
  const request: KeyRequest = {
    request: digest(randomBytes(32).toString('hex')),
    preset: 'bfv-8192',
    galois,
  };
  const [cpu, wall] = [cpuSeconds(), wallSeconds()];
  const factory = keygenFactory(kernel, request);
  const committee = new Simulation<KeyGeneration>({ n, t, seed: request.request, factory });
  const { parties } = committee.committee;
  committee.start();
  const isDone = committee.run(() =>
    parties.every((party) => committee.machine(party)?.finished !== undefined),
  );
  const times = [cpuSeconds() - cpu, wallSeconds() - wall];
  if (!isDone) throw new Error('no key was generated');
  return [...times, median(parties.map((party) => committee.bytesSent(party)))];
}
