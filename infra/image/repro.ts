import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageFiles } from './build.ts';
import { sha256Of } from './kernel.ts';
import { imageClasses } from './terms.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
/** Beside the packages, so that they can be linked instead of copied. */
const SCRATCH = join(REPOSITORY, 'out/repro');
/** Of different lengths and depths: a path that slips into the image shows. */
const PLACES = ['first', 'second/in-another-place'];
const LEFT_OUT = new Set(['out', '.git', '.kms', '.kms-lab']);

/** A copy of this repository; packages are linked. */
function copyTo(place: string): string {
  const copy = join(SCRATCH, place);
  mkdirSync(copy, { recursive: true });
  const names = readdirSync(REPOSITORY).filter((name) => !LEFT_OUT.has(name));
  for (const name of names) {
    const how = name === 'node_modules' ? '-al' : '-a';
    execFileSync('cp', [how, join(REPOSITORY, name), copy]);
  }
  return copy;
}

/** Builds kernel and images in a copy. */
function buildIn(copy: string): string {
  const output = join(copy, 'images');
  const args = ['infra/image/build.ts', '--output', output, '--kernel-cache', join(copy, 'kernel')];
  execFileSync(process.execPath, args, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] });
  return output;
}

/** Every byte is the same, wherever it is built. */
function isReproducible(): boolean {
  rmSync(SCRATCH, { recursive: true, force: true });
  try {
    const outputs = PLACES.map(copyTo).map(buildIn);
    const same = imageClasses.flatMap((of) => {
      const [first, second] = outputs.map((output) => imageFiles(of, output));
      if (first === undefined || second === undefined) return [false];
      console.log(`${of}: ${readFileSync(first.measurements, 'utf8').trim()}`);
      return (['eif', 'measurements', 'sbom'] as const).map((name) => {
        const [one, other] = [sha256Of(first[name]), sha256Of(second[name])];
        console.log(`${of} ${name}: ${one === other ? 'the same,' : 'DIFFERENT,'} SHA-256 ${one}`);
        return one === other;
      });
    });
    return same.every((one) => one);
  } finally {
    rmSync(SCRATCH, { recursive: true, force: true });
  }
}

process.exitCode = isReproducible() ? 0 : 1;
