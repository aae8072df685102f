import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { localSecret } from '../chains/account.ts';
import { OPERATORS, operatorOf, SUBMITTER, USERS, userOf } from '../chains/accounts.ts';
import { accountFile } from './program-files.ts';

/** Writes the key of a well-known account, 64 hex digits, for the one whose it is. Everybody knows it. @returns the file */
export async function writeAccountFile(directory: string, name: string, account: number): Promise<string> {
  const file = accountFile(directory, name);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${localSecret(account).slice(2)}\n`, { mode: 0o600 });
  return file;
}

/** Of those who are no program: operators, submitter, users. */
export async function writePeoplesFiles(directory: string): Promise<void> {
  const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);
  for (const number of numbers(OPERATORS)) {
    await writeAccountFile(directory, `operator-${number}`, operatorOf(number));
  }
  await writeAccountFile(directory, 'submitter', SUBMITTER);
  for (const number of numbers(USERS)) {
    await writeAccountFile(directory, number === 1 ? 'user' : `user-${number}`, userOf(number));
  }
}
