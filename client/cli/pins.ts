import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import type { ClientAnchors, ConfigurationMemory, SeenConfiguration } from '../sdk/configuration-pin.ts';
import type { Arguments, Option } from './arguments.ts';
import { readInput, writeOutput } from './file.ts';
import { stateDirectory } from './network-files.ts';
import type { Terminal } from './terminal.ts';

export const pinOption: Option = {
  value: 'HASH',
  help: 'digest of a configuration that the network must have gone through',
};

/** What the command line pins, and what was seen from this state directory before. */
export function anchorsOf(given: Arguments, terminal: Terminal): ClientAnchors {
  const text = given.text('pin')?.toLowerCase();
  if (text !== undefined && !/^[0-9a-f]{64}$/.test(text)) {
    given.refuse(`--pin takes the 64 hex digits that 'kms net config show' prints, not '${text}'`);
  }
  const memory = new SeenFiles(join(stateDirectory(given, terminal), 'client', 'seen'));
  return text === undefined ? { memory } : { memory, pin: digest(text) };
}

const NUMBER = /^(?:0|[1-9][0-9]{0,9})$/;

/**
 * One small file for each configuration that was seen, `<network id>/<number>`: the highest name counts, so that two
 * processes at once never put one back. Public; whoever may write here may also make this client forget.
 */
export class SeenFiles implements ConfigurationMemory {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async highest(networkId: Digest): Promise<SeenConfiguration | undefined> {
    const names = await namesIn(join(this.#directory, networkId));
    const [number] = names
      .filter((name) => NUMBER.test(name))
      .map(Number)
      .sort((a, b) => b - a);
    return number === undefined ? undefined : { number, digest: await this.#read(networkId, number) };
  }

  async remember(networkId: Digest, { number, digest: found }: SeenConfiguration): Promise<void> {
    const before = await this.highest(networkId);
    if (before !== undefined && before.number > number) return;
    if (before?.number !== number) await writeOutput(this.#fileOf(networkId, number), utf8(`${found}\n`));
    else if (before.digest !== found) {
      throw new KmsError(
        'CONFLICT',
        `${this.#fileOf(networkId, number)} names another configuration ${number}`,
      );
    }
  }

  async #read(networkId: Digest, number: number): Promise<Digest> {
    const path = this.#fileOf(networkId, number);
    const text = new TextDecoder().decode(await readInput(path, 'a configuration that was seen', 128)).trim();
    if (/^[0-9a-f]{64}$/.test(text)) return digest(text);
    throw new KmsError('BAD_ENCODING', `${path} is damaged; delete it, and say with --pin what it held`);
  }

  #fileOf(networkId: Digest, number: number): string {
    return join(this.#directory, networkId, `${number}`);
  }
}

/** @throws {KmsError} BAD_INPUT if the directory is there and cannot be read: nothing seen is not the same */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw new KmsError('BAD_INPUT', `cannot read ${directory}`, { cause });
  }
}
