import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { Rng } from '../../shared/primitives.ts';
import { concat, equalBytes, utf8 } from '../../shared/wire/bytes.ts';
import type { Files } from './files.ts';
import { nameOf } from './record-name.ts';

export const DEVELOPMENT_KEY_FILE = 'DEVELOPMENT-ONLY-store.key';

const HEADER = utf8('DEVELOPMENT ONLY: whoever reads this file reads the store beside it.\n');
const KEY_BYTES = 32;

/**
 * The store's AES key: the file's header, then 32 bytes. Drawn on first use.
 * @throws {KmsError} STORE_FAILED if the file is damaged, or missing beside records that were sealed under it
 */
export async function developmentKey(directory: string, rng: Rng, files: Files): Promise<Uint8Array> {
  const path = join(directory, DEVELOPMENT_KEY_FILE);
  const found = await files.read(path, 4096);
  if (found !== undefined) {
    const good = found.length === HEADER.length + KEY_BYTES;
    if (!good || !equalBytes(found.subarray(0, HEADER.length), HEADER)) {
      throw new KmsError('STORE_FAILED', `${DEVELOPMENT_KEY_FILE} is damaged`);
    }
    return found.slice(HEADER.length);
  }
  if ((await files.list(directory)).some((file) => nameOf(file) !== undefined)) {
    throw new KmsError('STORE_FAILED', `${DEVELOPMENT_KEY_FILE} is missing; its records cannot be read`);
  }
  const key = rng(KEY_BYTES);
  const temporary = `${path}.tmp`;
  await files.writeSynced(temporary, concat(HEADER, key));
  await files.rename(temporary, path);
  await files.syncDirectory(directory);
  return key;
}
