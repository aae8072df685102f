import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, cacheKey } from '../build/cache.ts';
import { fetchPackage, unpackPackage } from '../build/debian.ts';
import { KERNEL_SOURCE, TOOLCHAIN } from './pins.ts';
import { buildEnvironment, requireToolchain } from './toolchain.ts';

/** A kernel and what is compiled against its source. */
export interface BuiltKernel {
  readonly bzImage: string;
  /** Its interface for programs: `linux/...`. */
  readonly headers: string;
  /** The source's small C library. */
  readonly nolibc: string;
}

const CONFIG = fileURLToPath(new URL('kernel.config', import.meta.url));

/** What the kernel would say of its build; none of it is true of any machine. */
const identity: Readonly<Record<string, string>> = {
  KBUILD_BUILD_TIMESTAMP: '1970-01-01 00:00:00 UTC',
  KBUILD_BUILD_USER: 'kms',
  KBUILD_BUILD_HOST: 'kms',
  KBUILD_BUILD_VERSION: '1',
};

/**
 * The image's kernel, from the cache if it was built from the same source, configuration and compilers before; else some ten
 * minutes on two cores.
 * @param cache where it is kept; a directory of its own makes it build anew
 * @throws {Error} that says what is missing
 */
export function buildKernel(cache: string = join(cacheDirectory(), 'kernel')): BuiltKernel {
  const recipe = JSON.stringify([KERNEL_SOURCE, TOOLCHAIN, identity]);
  const directory = join(cache, cacheKey(recipe, readFileSync(CONFIG)));
  const built = {
    bzImage: join(directory, 'bzImage'),
    headers: join(directory, 'headers'),
    nolibc: join(directory, 'nolibc'),
  };
  if (existsSync(directory)) return built;
  requireToolchain();
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, 'build-'));
  try {
    compile(scratch, join(scratch, 'result'));
    renameSync(join(scratch, 'result'), directory);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return built;
}

function compile(scratch: string, result: string): void {
  const run = (command: string, args: readonly string[], cwd: string): void => {
    const env = { ...buildEnvironment(), ...identity, KCONFIG_ALLCONFIG: CONFIG };
    execFileSync(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
  };
  unpackPackage(fetchPackage(KERNEL_SOURCE), join(scratch, 'package'));
  const archive = join(scratch, `package/usr/src/${KERNEL_SOURCE.package}.tar.xz`);
  run('tar', ['--extract', '--file', archive], scratch);
  const source = join(scratch, KERNEL_SOURCE.package);
  // In the source's own directory: its paths are relative then, and do not show in the kernel.
  run('make', ['-s', 'allnoconfig'], source);
  const refused = refusedLines(readFileSync(CONFIG, 'utf8'), readFileSync(join(source, '.config'), 'utf8'));
  if (refused.length > 0) throw new Error(`the kernel cannot be configured so: ${refused.join(', ')}`);
  run('make', ['-s', `-j${availableParallelism()}`, 'bzImage'], source);
  run('make', ['-s', 'headers'], source);
  mkdirSync(result);
  cpSync(join(source, 'arch/x86/boot/bzImage'), join(result, 'bzImage'));
  cpSync(join(source, '.config'), join(result, 'config'));
  cpSync(join(source, 'usr/include'), join(result, 'headers'), { recursive: true });
  cpSync(join(source, 'tools/include/nolibc'), join(result, 'nolibc'), { recursive: true });
}

/** Lines of a configuration's fragment that Kconfig did not take as they are: a protection that is silently off. */
export function refusedLines(fragment: string, config: string): readonly string[] {
  const lines = new Set(config.split('\n'));
  const set = new Set([...lines].map((line) => line.slice(0, line.indexOf('='))));
  return fragment
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_'))
    .filter((line) => (line.endsWith('=n') ? set.has(line.slice(0, -2)) : !lines.has(line)));
}

export function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

if (import.meta.main) {
  const { bzImage } = buildKernel();
  console.log(`kernel: ${bzImage}, SHA-256 ${sha256Of(bzImage)}`);
}
