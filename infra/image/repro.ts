import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageFiles, writeImage } from './build.ts';
import { sha256Of } from './kernel.ts';
import { imageClasses } from './terms.ts';

/**
 * Builds the images twice, in two directories whose names have different lengths, each time with a kernel of its own.
 * @returns whether every byte is the same
 */
async function isReproducible(): Promise<boolean> {
  const scratch = mkdtempSync(join(tmpdir(), 'kms-repro-'));
  try {
    const directories = ['first', 'the-second-one'].map((name) => join(scratch, name));
    for (const directory of directories) {
      mkdirSync(directory);
      for (const of of imageClasses) await writeImage(of, directory, join(directory, 'kernel'));
    }
    const outcomes = imageClasses.flatMap((of) => {
      const [first, second] = directories.map((directory) => imageFiles(of, directory));
      if (first === undefined || second === undefined) return [];
      const names = ['eif', 'measurements', 'sbom'] as const;
      return names.map((name) => {
        const isSame = sha256Of(first[name]) === sha256Of(second[name]);
        console.log(`${of} ${name}: ${isSame ? `the same, SHA-256 ${sha256Of(first[name])}` : 'DIFFERENT'}`);
        return isSame;
      });
    });
    if (outcomes.every((same) => same)) {
      for (const of of imageClasses) {
        console.log(`${of}: ${readFileSync(imageFiles(of, directories[0]).measurements, 'utf8').trim()}`);
      }
      return true;
    }
    return false;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = (await isReproducible()) ? 0 : 1;
