import { stat } from 'node:fs/promises';
import { KmsError } from '../../shared/errors.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { type Wallet, walletOf } from '../gateway/wallet.ts';
import { readInput } from './file.ts';

/**
 * An account's key: 64 lower-case hex digits, alone in a file that only its owner can read.
 * @throws {KmsError} BAD_INPUT if it cannot be read, is no key, or others can read it too
 */
export async function readWallet(path: string): Promise<Wallet> {
  const file = await readInput(path, "an account's key", 128);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new KmsError('BAD_INPUT', `${path} can be read by others; chmod 600 it, and ask who has a copy`);
  }
  const digits = new TextDecoder().decode(file).trim();
  file.fill(0);
  if (!/^[0-9a-f]{64}$/.test(digits)) {
    throw new KmsError('BAD_INPUT', `${path} does not hold an account's key: 64 lower-case hex digits`);
  }
  const secret = fromHex(digits);
  const wallet = walletOf(secret);
  secret.fill(0);
  return wallet;
}
