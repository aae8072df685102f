import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { utf8 } from '../../shared/wire/bytes.ts';
import { bundleEnclave } from '../build/bundle.ts';
import { type DebianPackage, fetchPackage, unpackPackage } from '../build/debian.ts';
import { buildAddon } from '../build/native.ts';
import type { Origin } from '../eif/sbom.ts';
import { LIBRARIES, NODE } from './pins.ts';
import { command, configurations, environment, type ImageClass, places } from './terms.ts';
import { buildEnvironment } from './toolchain.ts';

/** A file of the image, and where it comes from. */
export interface ImageFile {
  /** Absolute, as in its ramdisk. */
  readonly path: string;
  readonly mode: number;
  readonly contents: Uint8Array;
  readonly origin: Origin;
}

const PROGRAM = 0o555;
const DATA = 0o444;
const LIBRARY_DIRECTORIES = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'];
const LOADER = 'ld-linux-x86-64.so.2';

/** Directories that init mounts something on. */
export const mountPoints: readonly string[] = ['/rootfs/dev', '/rootfs/proc', '/rootfs/run'];

/**
 * The second ramdisk's files: what the node sees, under /rootfs, and what init starts.
 * @param own this repository
 * @throws {Error}
 */
export async function applicationFiles(of: ImageClass, own: Origin): Promise<readonly ImageFile[]> {
  const lines = (path: string, items: readonly string[]): ImageFile => {
    return { path, mode: DATA, contents: utf8(`${items.join('\n')}\n`), origin: own };
  };
  const inside = [...(await ownFiles(of, own)), nodeBinary(), ...LIBRARIES.flatMap(libraryFiles)];
  return [
    ...inside.map((file) => ({ ...file, path: `/rootfs${file.path}` })),
    lines('/cmd', command),
    lines('/env', environment),
  ];
}

async function ownFiles(of: ImageClass, own: Origin): Promise<readonly ImageFile[]> {
  const { code } = await bundleEnclave(of);
  const configuration = `${JSON.stringify(configurations[of], undefined, 1)}\n`;
  return [
    { path: places.application, mode: DATA, contents: utf8(code), origin: own },
    { path: '/app/kms.node', mode: PROGRAM, contents: addon(), origin: own },
    { path: places.configuration, mode: DATA, contents: utf8(configuration), origin: own },
  ];
}

function addon(): Uint8Array {
  return inScratch((scratch) => new Uint8Array(readFileSync(buildAddon('kms', join(scratch, 'kms.node')))));
}

function nodeBinary(): ImageFile {
  const home = dirname(createRequire(import.meta.url).resolve(`${NODE.package}/package.json`));
  const contents = new Uint8Array(readFileSync(join(home, 'bin/node')));
  const found = createHash('sha256').update(contents).digest('hex');
  if (found !== NODE.sha256) {
    throw new Error(`${home}/bin/node has SHA-256 ${found}, not ${NODE.sha256}: run npm ci`);
  }
  const purl = `pkg:npm/${NODE.package}@${NODE.version}`;
  return {
    ...{ path: places.node, mode: PROGRAM, contents: stripped(contents) },
    origin: { name: NODE.package, version: NODE.version, purl },
  };
}

/** Without names for debuggers, which no enclave has: a seventh of the file, all of it in memory. */
function stripped(program: Uint8Array): Uint8Array {
  return inScratch((scratch) => {
    const path = join(scratch, 'program');
    writeFileSync(path, program);
    execFileSync('strip', ['--strip-all', path], { env: buildEnvironment() });
    return new Uint8Array(readFileSync(path));
  });
}

function libraryFiles(library: (typeof LIBRARIES)[number]): readonly ImageFile[] {
  return inScratch((scratch) => {
    unpackPackage(fetchPackage(library), scratch);
    return library.files.map((name) => ({
      // The loader is where programs name it, everything else where it looks.
      path: name === LOADER ? `/lib64/${name}` : `/${LIBRARY_DIRECTORIES[0]}/${name}`,
      mode: PROGRAM,
      contents: libraryIn(scratch, name),
      origin: debianOrigin(library, 'amd64'),
    }));
  });
}

function inScratch<T>(use: (directory: string) => T): T {
  const scratch = mkdtempSync(join(tmpdir(), 'kms-rootfs-'));
  try {
    return use(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function libraryIn(scratch: string, name: string): Uint8Array {
  for (const directory of LIBRARY_DIRECTORIES) {
    try {
      return new Uint8Array(readFileSync(join(scratch, directory, name)));
    } catch {
      // Not there.
    }
  }
  throw new Error(`the package has no ${name}`);
}

export function debianOrigin(of: DebianPackage, architecture: string): Origin {
  const { package: name, version, sha256 } = of;
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`;
  return { name, version, purl, sha256 };
}
