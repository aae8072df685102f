import { readFile, stat } from 'node:fs/promises';
import { KmsError } from '../shared/errors.ts';
import type { Configuration } from '../shared/network/configuration.ts';
import { decodeConfigurations, MAX_CONFIGURATION_FILE_BYTES } from '../shared/network/configuration-file.ts';
import { rpcAddress } from '../shared/network/rpc.ts';
import { storageAddresses } from '../shared/network/storage.ts';

const NONE: ReadonlySet<string> = new Set();

/**
 * What the enclave may reach: the members, their storage and the endpoints of chains of the newest configuration and of its predecessor, which may
 * both be valid. The file is read again when it has changed. Its signatures are not verified here: the list limits what a
 * broken enclave reaches from this machine, and whom an enclave talks to is proved by TLS inside it.
 */
export class AllowList {
  readonly #path: string;
  #version = '';
  #addresses = NONE;
  #members: readonly string[] = [];

  constructor(configurationsFile: string) {
    this.#path = configurationsFile;
  }

  /** No file: nothing is allowed. @throws {KmsError} BAD_CONFIGURATION, TOO_LARGE: nothing is allowed either */
  async current(): Promise<ReadonlySet<string>> {
    const found = await stat(this.#path).catch(() => undefined);
    if (found === undefined) return this.#set('', []);
    const version = `${found.ino}/${found.mtimeMs}/${found.size}`;
    if (version === this.#version) return this.#addresses;
    this.#set('', []);
    if (found.size > MAX_CONFIGURATION_FILE_BYTES)
      throw new KmsError('TOO_LARGE', `${this.#path} is too large`);
    const configurations = decodeConfigurations(new Uint8Array(await readFile(this.#path)));
    return this.#set(
      version,
      configurations.slice(-2).map(({ configuration }) => configuration),
    );
  }

  /** `host:port` of the members of both. @throws as current() */
  async members(): Promise<readonly string[]> {
    await this.current();
    return this.#members;
  }

  #set(version: string, newest: readonly Configuration[]): ReadonlySet<string> {
    this.#version = version;
    this.#members = newest.flatMap(({ members }) => members.map(({ address }) => address));
    this.#addresses = new Set(newest.flatMap(reachable));
    return this.#addresses;
  }
}

function reachable({ members, rpc, hosts }: Configuration): readonly string[] {
  return [
    ...members.flatMap(({ address, storage }) => [address, ...storageAddresses(storage)]),
    ...[rpc, ...hosts.map((host) => host.rpc)].flatMap(({ endpoints }) =>
      endpoints.map(({ url }) => rpcAddress(url)),
    ),
  ];
}
