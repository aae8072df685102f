import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { bytesOf } from '../../shared/wire/bytes.ts';

/** @throws {KmsError} BAD_INPUT when it cannot be read, TOO_LARGE above maxBytes */
export async function readInput(path: string, what: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes)
      throw new KmsError('TOO_LARGE', `${path} has ${size} bytes; ${what} has at most ${maxBytes}`);
    // A view: of a secret there is no second copy, of an image neither.
    return bytesOf(await readFile(path));
  } catch (error) {
    if (error instanceof KmsError) throw error;
    throw new KmsError('BAD_INPUT', `cannot read ${what} from ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Writes a whole file or none; an older one is replaced. @throws {KmsError} BAD_INPUT */
export async function writeOutput(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await attempt(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await using file = await open(temporary, 'w');
    await file.writeFile(bytes);
    await file.sync();
    await rename(temporary, path);
  });
}

/** Writes a file that only its owner can read. Never replaces one. @throws {KmsError} BAD_INPUT */
export function writeSecret(path: string, bytes: Uint8Array): Promise<void> {
  return writeNew(path, bytes, 0o600);
}

/** Never replaces a file. @throws {KmsError} BAD_INPUT */
export async function writeNew(path: string, bytes: Uint8Array, mode = 0o644): Promise<void> {
  await attempt(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await using file = await open(path, 'wx', mode);
    await file.writeFile(bytes);
    await file.sync();
  });
}

async function attempt(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw new KmsError('BAD_INPUT', `cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'the file exists already and is not replaced; choose another name',
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such file',
  ENOSPC: 'no space left',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}
