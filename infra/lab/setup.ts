import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, cacheKey } from '../build/cache.ts';
import {
  fetchPackage,
  fetchSource,
  installedVersion,
  requireInstalled,
  unpackPackage,
} from '../build/debian.ts';
import { LAB_PACKAGES, MESON, QEMU, VSOCK_BACKEND } from './pins.ts';

/** A machine that boots enclave images under emulation. */
export interface Lab {
  /** QEMU with the machine `nitro-enclave`, whose security module signs its documents. */
  readonly qemu: string;
  readonly vsockBackend: string;
}

const additions = ['nsm-evidence.c', 'nsm-evidence.h'];
const patches = ['nsm-evidence.patch', 'jump-cache.patch'];
const MIN_MESON = [1, 5];
/** Debian's own builds leave libcbor out, and with it the machine. */
const CONFIGURE = [
  ...['--target-list=x86_64-softmmu', '--without-default-features', '--without-default-devices'],
  ...[
    '--with-devices-x86_64=nitro',
    '--enable-system',
    '--disable-user',
    '--disable-docs',
    '--disable-download',
  ],
  ...['--enable-tcg', '--enable-kvm', '--enable-libcbor', '--enable-gnutls', '--enable-vhost-user'],
  ...['--enable-fdt=system', '--disable-tools', '--disable-guest-agent', '--disable-install-blobs'],
  '--python=/usr/bin/python3',
];

/** The lab of this machine; undefined if it has not been set up. */
export function findLab(): Lab | undefined {
  const directory = labDirectory();
  const lab = {
    qemu: join(directory, 'qemu-system-x86_64'),
    vsockBackend: join(directory, 'vhost-device-vsock'),
  };
  return existsSync(lab.qemu) && existsSync(lab.vsockBackend) ? lab : undefined;
}

/**
 * Sets the lab up from Debian packages, once: some ten minutes on two cores.
 * @throws {Error} that says what is missing
 */
export function setUpLab(): Lab {
  const found = findLab();
  if (found !== undefined) return found;
  requireInstalled(LAB_PACKAGES);
  const directory = labDirectory();
  mkdirSync(directory, { recursive: true });
  installBackend(directory);
  buildQemu(directory);
  const lab = findLab();
  if (lab === undefined) throw new Error(`the lab in ${directory} is not whole`);
  return lab;
}

/** One per version of everything in it. */
function labDirectory(): string {
  const inputs = [JSON.stringify([QEMU, VSOCK_BACKEND, CONFIGURE])];
  return join(
    cacheDirectory(),
    'lab',
    cacheKey(...inputs, ...[...additions, ...patches].map((name) => readFileSync(ours(name)))),
  );
}

function ours(name: string): string {
  return fileURLToPath(new URL(`qemu/${name}`, import.meta.url));
}

function installBackend(directory: string): void {
  const scratch = join(directory, 'backend');
  unpackPackage(fetchPackage(VSOCK_BACKEND), scratch);
  copyFileSync(join(scratch, 'usr/bin/vhost-device-vsock'), join(directory, 'vhost-device-vsock'));
  chmodSync(join(directory, 'vhost-device-vsock'), 0o755);
  rmSync(scratch, { recursive: true });
}

function buildQemu(directory: string): void {
  const [source, build] = [join(directory, 'source'), join(directory, 'build')];
  for (const path of [source, build]) rmSync(path, { recursive: true, force: true });
  run('dpkg-source', ['--no-check', '-x', fetchSource(QEMU), source], directory);
  for (const name of additions) copyFileSync(ours(name), join(source, 'hw/virtio', name));
  for (const name of patches) run('patch', ['--strip=1', `--input=${ours(name)}`], source);
  writeFileSync(join(source, 'configs/devices/x86_64-softmmu/nitro.mak'), 'CONFIG_NITRO_ENCLAVE=y\n');
  mkdirSync(build);
  requireMeson();
  run(join(source, 'configure'), CONFIGURE, build);
  run('ninja', [`-j${availableParallelism()}`, 'qemu-system-x86_64'], build);
  const binary = join(directory, 'qemu-system-x86_64');
  run('strip', ['-o', `${binary}.tmp`, 'qemu-system-x86_64'], build);
  renameSync(`${binary}.tmp`, binary);
  for (const path of [source, build]) rmSync(path, { recursive: true });
}

function requireMeson(): void {
  const version = installedVersion('meson')?.split(/[.-]/).map(Number) ?? [];
  const isNew =
    (version[0] ?? 0) > 1 || ((version[0] ?? 0) === 1 && (version[1] ?? 0) >= (MIN_MESON[1] ?? 0));
  if (isNew) return;
  const path = fetchPackage(MESON);
  if (process.getuid?.() !== 0) throw new Error(`QEMU needs a newer meson; as root: apt-get install ${path}`);
  run('apt-get', ['install', '-qy', '--no-install-recommends', path], '/');
}

function run(command: string, args: readonly string[], cwd: string): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  execFileSync(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
}

if (import.meta.main) {
  const { qemu } = setUpLab();
  console.log(`lab: ${qemu}`);
}
