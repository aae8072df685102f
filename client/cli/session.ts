import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { type KeyId, keyId } from '../../shared/ids.ts';
import { decodeGenesis } from '../../shared/network/genesis.ts';
import { KmsClient } from '../sdk/kms-client.ts';
import type { NetworkKey } from '../sdk/network-key.ts';
import type { Arguments, Option } from './arguments.ts';
import { readInput, writeOutput } from './file.ts';
import { knownBlock } from './gateway-block.ts';
import { networkPaths, readNetworkFiles, stateDirectory } from './network-files.ts';
import { anchorsOf } from './pins.ts';
import type { Terminal } from './terminal.ts';

const MAX_TIMEOUT_SECONDS = 86_400;

export const keyOption: Option = {
  value: 'KEY',
  short: 'k',
  help: 'key id or the beginning of one (default: the only key)',
};

/** A client of the network that the command line names, and the keys it has seen. */
export class Session {
  readonly client: KmsClient;
  /** Certified keys are kept here: public, and verified again whenever they are read. */
  readonly #cache: string;

  private constructor(client: KmsClient, cache: string) {
    this.client = client;
    this.#cache = cache;
  }

  /** @throws {KmsError} UNAVAILABLE without a network; BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE */
  static async open(given: Arguments, terminal: Terminal): Promise<Session> {
    const timeoutMs = 1000 * (given.integer('timeout', 1, MAX_TIMEOUT_SECONDS) ?? 60);
    const files = await readNetworkFiles(networkPaths(given, terminal));
    const block = await knownBlock(given, terminal, decodeGenesis(files.genesis));
    return new Session(
      await KmsClient.connect({ ...files, ...anchorsOf(given, terminal), patience: { timeoutMs }, block }),
      join(stateDirectory(given, terminal), 'client', 'keys'),
    );
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]();
  }

  /** The key id that a text begins, or the only key there is. @throws {KmsError} UNKNOWN_KEY, BAD_INPUT */
  async keyIdOf(text: string | undefined): Promise<KeyId> {
    if (text !== undefined && /^[0-9a-f]{64}$/.test(text)) return keyId(text);
    if (text !== undefined && !/^[0-9a-f]{4,63}$/.test(text)) {
      throw new KmsError('BAD_INPUT', `'${text}' is not a key id: 64 hex digits, or at least the first 4`);
    }
    const ids = await this.client.listKeys();
    const [id, second] = ids.filter((candidate) => text === undefined || candidate.startsWith(text));
    if (id === undefined && text === undefined) {
      throw new KmsError('UNKNOWN_KEY', "the network has no key yet; 'kms keygen' makes one");
    }
    if (id === undefined) throw new KmsError('UNKNOWN_KEY', `no key of this network begins with ${text}`);
    if (second !== undefined) {
      throw new KmsError(
        'BAD_INPUT',
        `more than one key fits; name one with --key: ${ids.map(short).join(', ')}`,
      );
    }
    return id;
  }

  /** The verified key: from the cache, or else from the network. @throws {KmsError} UNKNOWN_KEY, NOT_ENOUGH_PARTIES */
  async key(id: KeyId): Promise<NetworkKey> {
    const path = join(this.#cache, id);
    try {
      return this.client.openKey(id, await readInput(path, 'a key', 1 << 30));
    } catch {
      const key = await this.client.getKey(id);
      await this.keep(key);
      return key;
    }
  }

  keep(key: NetworkKey): Promise<void> {
    return writeOutput(join(this.#cache, key.id), key.certified);
  }
}

export function short(id: KeyId): string {
  return id.slice(0, 12);
}
