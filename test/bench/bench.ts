/**
 * `make bench`: what the core jobs of the service cost on this machine.
 *
 *   node test/bench/bench.ts [--only name,name] [--json] [--help]
 *
 * Prints a table (with --json the JSON instead) and writes out/bench.json; progress goes to stderr. With --only just
 * those figures are measured and out/bench.json stays as it is. A missed target is shown and fails nothing; what could not be
 * measured is named on stderr, and the exit code is 1.
 *
 * How to read the figures:
 * - Each is the median of RUNS warm runs; a run of a short job is several calls, and the figure is for one. The runs
 *   are spread over five rounds through all jobs, so that a slow minute of the machine touches all of them.
 * - Times are CPU time of the whole process, all threads, garbage collection included; the code under test runs on one
 *   of them. Other work on the machine still slows it, through caches and clocks. Only `keygen-wall-*` is what a clock
 *   on the wall shows.
 * - The baseline are two jobs that no change of this project's protocols touches: AES-256-CTR by OpenSSL, and one NTT
 *   of N = 8192. They are sampled after every block of runs. The column NTTS is the figure divided by the NTT measured
 *   beside it: compare that between machines, or between two states of one machine.
 * - `partial-*` is the core alone: the ciphertext is parsed, checked and switched to the decryption level already, the
 *   flood is included. `open-envelope`, `switch-down`, `sign-share`, `verify-share` and `user-share-seal` are what
 *   lies around it; `public-decryption-*` is what one party computes for one value, without the network.
 * - `keygen-*` is the work of all parties together, in one process under virtual time.
 * - `relay-*`, `cold-start-*`, `unseal-ready`, `state-change`, `image-boot-ready` and `gateway-*` without `cpu` are wall clock, over several processes:
 *   they suffer from everything else that runs. `image-*` need the lab and the image.
 * - The key of the decryption jobs is handed out by a dealer. The liars of `decode-*-liars` are as many as the
 *   committee tolerates, each wrong in one residue.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Progress } from '../../client/cli/progress.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { attestationJobs } from './attestation.ts';
import { Baseline } from './baseline.ts';
import { decryptionJobs } from './decryption.ts';
import { enclaveProcessJobs } from './enclave-process.ts';
import { gatewayJobs } from './gateway.ts';
import { imageJobs } from './image.ts';
import type { Job } from './job.ts';
import { keygenJobs } from './keygen.ts';
import { thisMachine } from './machine.ts';
import { decryptionRing, mathJobs } from './math.ts';
import { ratlsJobs } from './ratls.ts';
import { relayJobs } from './relay.ts';
import { reportLines, reportOf } from './report.ts';
import { sealingJobs } from './sealing.ts';
import { measureAll } from './session.ts';
import { userDecryptionJobs } from './user-decryption.ts';
import { Workbench } from './workbench.ts';

const OUT = new URL('../../out/', import.meta.url);
const USAGE_ERROR = 2;

async function main(): Promise<number> {
  const { only, json, help } = options();
  const bench = new Workbench(await Kernel.load());
  const all = [
    // First: networks of other jobs stay up, and idle ones take their part of the cores too.
    ...imageJobs(),
    ...mathJobs(bench),
    ...decryptionJobs(bench),
    ...userDecryptionJobs(bench),
    ...attestationJobs(),
    ...ratlsJobs(),
    ...relayJobs(),
    ...enclaveProcessJobs(),
    ...sealingJobs(),
    ...keygenJobs(bench),
    ...gatewayJobs(bench),
  ];
  const names = all.flatMap((job) => job.figures.map((figure) => figure.name));
  const unknown = only?.filter((name) => !names.includes(name)) ?? [];
  if (help || unknown.length > 0) {
    const usage = `usage: make bench, or node test/bench/bench.ts [--only name,name] [--json]\nnames: ${names.join(' ')}\n`;
    if (help) process.stdout.write(usage);
    else process.stderr.write(`no such figure: ${unknown.join(', ')}\n${usage}`);
    return help ? 0 : USAGE_ERROR;
  }
  const isWanted = (name: string): boolean => only?.includes(name) ?? true;
  const jobs = all.filter((job: Job) => job.figures.some(({ name }) => isWanted(name)));
  const baseline = new Baseline(decryptionRing(bench.kernel));
  const progress = new Progress(process.stderr, () => performance.now(), 'bench');
  const { measurements, failures } = await measureAll(jobs, baseline, progress);
  progress.finish();
  await bench.started.disposeAsync();
  const wanted = measurements.filter(({ figure }) => isWanted(figure.name));
  const report = reportOf(thisMachine(), baseline.summary, wanted);
  const encoded = `${JSON.stringify(report, null, 2)}\n`;
  if (only === undefined) {
    mkdirSync(OUT, { recursive: true });
    writeFileSync(new URL('bench.json', OUT), encoded);
  }
  process.stdout.write(json ? encoded : `${reportLines(report, wanted).join('\n')}\n`);
  for (const { name, error } of failures) process.stderr.write(`FAILED: ${name}: ${String(error)}\n`);
  return failures.length > 0 ? 1 : 0;
}

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return { ...values, only: values.only?.split(',').filter((name) => name !== '') };
}

process.exitCode = await main();
