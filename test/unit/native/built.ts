import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadAddon, type NativeAddon } from '../../../enclave/native/addon.ts';
import { buildAddon, findCompiler, findHeaders } from '../../../infra/build/native.ts';
import { loadSpliceAddon, type SpliceAddon } from '../../../parent/native/splice-addon.ts';

const missing =
  findCompiler() === undefined ? 'a C compiler' : findHeaders() === undefined ? "Node's headers" : '';

/** Only the image, parents on Nitro hosts and these tests need the native layer; without a compiler they are skipped. */
export const canBuild: boolean = missing === '' && process.platform === 'linux';

if (!canBuild) {
  process.stderr.write(
    `\nSKIPPED: the native layer is not tested, this machine lacks ${missing || 'Linux'}\n\n`,
  );
}

/** Compiles into a file of the caller's. */
export function builtAddon(path: string): NativeAddon {
  return loadAddon(buildAddon('kms', path));
}

/** What stands in place of a system call, by what it does not do: some kernels splice not every socket, and all have limits. */
const wraps = {
  reading: ['splice', spliceRefusing('in')],
  writing: ['splice', spliceRefusing('out')],
  pipes: [
    'pipe2',
    `#include <errno.h>
    int __wrap_pipe2(int *ends, int flags) {
      return (void)ends, (void)flags, errno = EMFILE, -1;
    }`,
  ],
} as const;

function spliceRefusing(socket: 'in' | 'out'): string {
  return `#define _GNU_SOURCE
      #include <errno.h>
      #include <fcntl.h>
      #include <sys/types.h>
      #include <sys/stat.h>
      ssize_t __real_splice(int, loff_t *, int, loff_t *, size_t, unsigned);
      ssize_t __wrap_splice(int in, loff_t *from, int out, loff_t *to, size_t size, unsigned flags) {
        struct stat about;
        if (fstat(${socket}, &about) == 0 && S_ISSOCK(about.st_mode)) return errno = EINVAL, -1;
        return __real_splice(in, from, out, to, size, flags);
      }`;
}

/** As the parent loads it. */
export function builtSplice(path: string, refuses?: keyof typeof wraps): SpliceAddon {
  const more: string[] = [];
  if (refuses !== undefined) {
    const [call, source] = wraps[refuses];
    writeFileSync(`${path}.c`, source);
    more.push(`${path}.c`, `-Wl,--wrap=${call}`);
  }
  const addon = loadSpliceAddon(buildAddon('splice', path, more));
  if (addon === undefined) throw new Error('the splice addon that was built does not load');
  return addon;
}

/** An ordinary program of the system's. */
export function builtProgram(path: string, source: string): string {
  execFileSync(findCompiler() ?? 'cc', ['-x', 'c', '-o', path, '-'], { input: source });
  return path;
}
