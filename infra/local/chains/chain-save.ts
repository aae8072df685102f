import { open, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { KmsError } from '../../../shared/errors.ts';
import { askChain } from './ask-chain.ts';

/** One chain and the file that `anvil --load-state` reads. */
export interface ChainSave {
  readonly url: string;
  readonly file: string;
}

/**
 * Writes a running chain down: blocks, transactions, accounts, its newest state. The file is replaced as a whole, which anvil's
 * own saving does not do: whatever ends in between, one that can be read stays.
 * @throws {KmsError} UNAVAILABLE, TIMEOUT
 */
export async function saveChain({ url, file }: ChainSave): Promise<void> {
  const dump = await askChain(url, 'anvil_dumpState', [false]);
  if (typeof dump !== 'string' || !dump.startsWith('0x')) {
    throw new KmsError('UNAVAILABLE', 'the chain does not say what it holds');
  }
  const text = await promisify(gunzip)(Buffer.from(dump.slice(2), 'hex'));
  {
    await using out = await open(`${file}.tmp`, 'w', 0o600);
    await out.writeFile(text);
    await out.sync();
  }
  await rename(`${file}.tmp`, file);
}
