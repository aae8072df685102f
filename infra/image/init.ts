import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuiltKernel } from './kernel.ts';
import { buildEnvironment } from './toolchain.ts';

const SOURCE = fileURLToPath(new URL('init/', import.meta.url));

/** Without a C library, position or build id; every warning is an error. */
const FLAGS = [
  ...['-std=gnu11', '-Os', '-static', '-nostdlib', '-nostdinc', '-ffreestanding', '-fno-ident'],
  ...['-fno-asynchronous-unwind-tables', '-fstack-protector-strong', '-mstack-protector-guard=global'],
  ...['-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none', '-Wl,-z,noexecstack', '-Wl,-z,norelro', '-s'],
];

/** The first process of the image: a static program, its bytes. @throws {Error} if it does not compile */
export function buildInit({ headers, nolibc }: BuiltKernel): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), 'kms-init-'));
  try {
    const env = buildEnvironment();
    const compilers = execFileSync('gcc', ['-print-file-name=include'], { env, encoding: 'utf8' }).trim();
    const sources = readdirSync(SOURCE)
      .filter((name) => name.endsWith('.c'))
      .sort();
    const includes = ['-isystem', compilers, '-isystem', headers, '-include', join(nolibc, 'nolibc.h')];
    const output = join(scratch, 'init');
    execFileSync('gcc', [...FLAGS, ...includes, '-o', output, ...sources, '-lgcc'], {
      cwd: SOURCE,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return new Uint8Array(readFileSync(output));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
