import { readFileSync } from 'node:fs';
import type { Measurement } from '../../shared/network/measurement.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import { type CpioEntry, writeCpio } from '../eif/cpio.ts';
import { usualDefaults } from '../eif/format.ts';
import type { EnclaveImage } from '../eif/image.ts';
import { ownMetadata } from '../eif/metadata.ts';
import { measure } from '../eif/pcr.ts';
import { type CycloneDx, type Origin, sbomOf } from '../eif/sbom.ts';
import { writeEif } from '../eif/writer.ts';
import { buildInit } from './init.ts';
import { type BuiltKernel, buildKernel } from './kernel.ts';
import { KERNEL_SOURCE } from './pins.ts';
import { applicationFiles, debianOrigin, type ImageFile, mountPoints } from './rootfs.ts';
import { cmdlines, type ImageClass } from './terms.ts';
import { requireToolchain } from './toolchain.ts';

export interface BuiltImage {
  readonly eif: Uint8Array;
  readonly measurement: Measurement;
  /** Every file with its hash and origin. */
  readonly sbom: CycloneDx;
}

const INIT = { path: '/init', mode: 0o555 } as const;
/** What init mounts before it enters the application's root. */
const BOOT_DIRECTORIES = ['/dev', '/proc', '/sys'];
const DIRECTORY = 0o555;

/** The same source gives the same bytes, wherever and whenever. @throws {Error} that says what is missing */
export async function buildImage(
  of: ImageClass,
  version: string,
  kernel: BuiltKernel = buildKernel(),
): Promise<BuiltImage> {
  requireToolchain();
  const bzImage = new Uint8Array(readFileSync(kernel.bzImage));
  const own: Origin = { name: 'threshold-kms', version };
  const boot: readonly ImageFile[] = [{ ...INIT, contents: buildInit(kernel), origin: own }];
  const application = await applicationFiles(of, own);
  const image: EnclaveImage = {
    architecture: 'x86_64',
    defaults: usualDefaults,
    kernel: bzImage,
    cmdline: utf8(cmdlines[of]),
    metadata: ownMetadata({
      imageName: `threshold-kms-${of}`,
      imageVersion: version,
      kernelVersion: KERNEL_SOURCE.kernelVersion,
      sourceDateSeconds: 0,
    }),
    ramdisks: [ramdisk(boot, BOOT_DIRECTORIES), ramdisk(application, mountPoints)],
    signature: undefined,
  };
  const origins = [boot, application].map(
    (files) => new Map(files.map(({ path, origin }) => [path, origin])),
  );
  const sbom = sbomOf({
    image,
    kernel: debianOrigin(KERNEL_SOURCE, 'all'),
    originOf: (index, path) => origins[index]?.get(path),
  });
  return { eif: writeEif(image), measurement: measure(image), sbom };
}

function ramdisk(files: readonly ImageFile[], directories: readonly string[]): Uint8Array {
  const above = new Set<string>(directories);
  for (const path of [...directories, ...files.map((file) => file.path)]) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      above.add(path.slice(0, end));
    }
  }
  const entries: readonly CpioEntry[] = [
    ...[...above].map((path) => ({ kind: 'directory', path: path.slice(1), mode: DIRECTORY }) as const),
    ...files.map(
      ({ path, mode, contents }) => ({ kind: 'file', path: path.slice(1), mode, contents }) as const,
    ),
  ];
  return writeCpio(entries);
}
