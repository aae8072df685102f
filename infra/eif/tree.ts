import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { CpioEntry } from './cpio.ts';

/**
 * What lies in a directory, as entries of an archive. Only what is in the files counts, and whether they may be executed:
 * 0755 or 0644; directories 0755. Owners, times and the umask of whoever made them leave no trace.
 * @param under where it goes in the archive, '' for its root; the directories on the way there are the caller's
 * @throws {KmsError} BAD_INPUT for a device, socket or pipe
 */
export function entriesOfTree(directory: string, under: string): readonly CpioEntry[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const [from, path] = [join(directory, name), under === '' ? name : `${under}/${name}`];
      const status = lstatSync(from);
      if (status.isDirectory()) {
        return [{ kind: 'directory', path, mode: 0o755 } as const, ...entriesOfTree(from, path)];
      }
      if (status.isSymbolicLink()) return [{ kind: 'link', path, target: readlinkSync(from) } as const];
      if (!status.isFile()) {
        throw new KmsError('BAD_INPUT', `${from} is no file, directory or link; remove it`);
      }
      const mode = (status.mode & 0o100) === 0 ? 0o644 : 0o755;
      return [{ kind: 'file', path, mode, contents: new Uint8Array(readFileSync(from)) } as const];
    });
}
