import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KmsError } from '../../shared/errors.ts';

/**
 * Replaces a file as a whole: after a crash it holds the old bytes or the new ones. Durable when the promise resolves. One writer at a
 * time per path.
 * @throws {KmsError} STORE_FAILED
 */
export async function writeDurably(path: string, bytes: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  await stored('written', async () => {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
    await syncDirectory(dirname(path));
  });
}

/** @throws {KmsError} STORE_FAILED */
export async function removeDurably(path: string): Promise<void> {
  await stored('removed', async () => {
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  });
}

/**
 * @returns plain bytes, no Buffer, whose slices alias and which SEAL does not take; undefined if there is no such file
 * @throws {KmsError} TOO_LARGE, STORE_FAILED
 */
export async function readLimited(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  return stored('read', async () => {
    try {
      const { size } = await stat(path);
      if (size > maxBytes) throw new KmsError('TOO_LARGE', `${path} has more than ${maxBytes} bytes`);
      return new Uint8Array(await readFile(path));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  });
}

/** A rename is durable once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function stored<T>(what: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    throw new KmsError('STORE_FAILED', `a file cannot be ${what}`, { cause });
  }
}

/** A file of UTF-8. @returns undefined if there is none @throws {KmsError} TOO_LARGE, STORE_FAILED */
export async function readLimitedText(path: string, maxBytes: number): Promise<string | undefined> {
  const bytes = await readLimited(path, maxBytes);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}
