import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { registersOf } from '../../shared/network/measurement.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { sbomText } from '../eif/sbom.ts';
import { buildImage } from './image.ts';
import { buildKernel } from './kernel.ts';
import { type ImageClass, imageClasses } from './terms.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
export const IMAGES: string = join(REPOSITORY, 'out/image');

export interface ImageFiles {
  readonly eif: string;
  /** As `kms eif measure` prints them. */
  readonly measurements: string;
  /** Every file of the image with its hash and origin. */
  readonly sbom: string;
}

export function imageFiles(of: ImageClass, directory: string = IMAGES): ImageFiles {
  const base = join(directory, `kms-${of}`);
  return { eif: `${base}.eif`, measurements: `${base}.pcrs.json`, sbom: `${base}.sbom.json` };
}

/** @param kernelCache see buildKernel() */
export async function writeImage(
  of: ImageClass,
  directory: string = IMAGES,
  kernelCache?: string,
): Promise<ImageFiles> {
  const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
    version: string;
  };
  const { eif, measurement, sbom } = await buildImage(of, version, buildKernel(kernelCache));
  const files = imageFiles(of, directory);
  const registers = registersOf(measurement).map(([name, value]) => [name.toUpperCase(), toHex(value)]);
  mkdirSync(directory, { recursive: true });
  writeFileSync(files.eif, eif);
  writeFileSync(
    files.measurements,
    `${JSON.stringify({ Measurements: Object.fromEntries(registers) }, undefined, 2)}\n`,
  );
  writeFileSync(files.sbom, sbomText(sbom));
  return files;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      class: { type: 'string', multiple: true },
      output: { type: 'string', default: IMAGES },
      'kernel-cache': { type: 'string' },
    },
  });
  const wanted = imageClasses.filter((of) => values.class?.includes(of) ?? true);
  for (const of of wanted) {
    const startedMs = performance.now();
    const { eif, measurements } = await writeImage(of, values.output, values['kernel-cache']);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(
      `${eif} (${readFileSync(eif).length} bytes, ${seconds} s)\n${readFileSync(measurements, 'utf8').trim()}`,
    );
  }
}
