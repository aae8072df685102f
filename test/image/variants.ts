import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../../infra/eif/cpio.ts';
import { readCpio } from '../../infra/eif/cpio-reader.ts';
import type { EnclaveImage } from '../../infra/eif/image.ts';
import { readEif } from '../../infra/eif/reader.ts';
import { writeEif } from '../../infra/eif/writer.ts';
import { imageFiles } from '../../infra/image/build.ts';
import type { ImageClass } from '../../infra/image/terms.ts';
import { utf8 } from '../../shared/wire/bytes.ts';

/** The images that were built before the tests. */
export function builtImage(of: ImageClass): EnclaveImage {
  return readEif(new Uint8Array(readFileSync(imageFiles(of).eif)));
}

/** The image with another application: kernel, command line and init are the same. */
export function withApplication(
  image: EnclaveImage,
  change: (entries: readonly CpioEntry[]) => readonly CpioEntry[],
): EnclaveImage {
  const [boot, application] = image.ramdisks;
  if (boot === undefined || application === undefined) throw new Error('an image has two ramdisks');
  return { ...image, ramdisks: [boot, writeCpio(change(readCpio(application)))] };
}

/** What init runs instead: Node with a script of one line. */
export function withScript(image: EnclaveImage, script: string): EnclaveImage {
  return withApplication(image, (entries) =>
    entries.map((entry) =>
      entry.path === 'cmd' && entry.kind === 'file'
        ? { ...entry, contents: utf8(`/usr/bin/node\n-e\n${script}\n`) }
        : entry,
    ),
  );
}

/** Without Node: boots quickly, for everything that happens before the node starts. */
export function withoutNode(image: EnclaveImage): EnclaveImage {
  return withApplication(image, (entries) => entries.filter(({ path }) => path !== 'rootfs/usr/bin/node'));
}

/** The path of the image's file in the directory. */
export function written(directory: string, name: string, image: EnclaveImage): string {
  const path = join(directory, `${name}.eif`);
  writeFileSync(path, writeEif(image));
  return path;
}
