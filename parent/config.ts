import { readFile } from 'node:fs/promises';
import { type Address, parseAddress } from '../shared/address.ts';
import { KmsError } from '../shared/errors.ts';

/** A parent's configuration: one JSON file, given by the operator. Nothing in it is secret. */
export interface ParentConfig {
  /** Where the node is reached from outside. */
  readonly listen: Address;
  /** Holds the sockets shared with the enclave. */
  readonly socketDirectory: string;
  /** JSON list of the `host:port` that the enclave may reach; read again for every connection. */
  readonly egressFile: string;
}

const MAX_EGRESS_FILE_BYTES = 64 * 1024;

/** @throws {KmsError} BAD_INPUT */
export async function readParentConfig(path: string): Promise<ParentConfig> {
  const value = await readJson(path);
  if (typeof value !== 'object' || value === null) throw bad(path, 'must hold an object');
  const entries = new Map<string, unknown>(Object.entries(value));
  const field = (name: string): string => {
    const text = entries.get(name);
    if (typeof text !== 'string' || text === '') throw bad(path, `lacks the string "${name}"`);
    entries.delete(name);
    return text;
  };
  const config = {
    listen: parseAddress(field('listen')),
    socketDirectory: field('socketDirectory'),
    egressFile: field('egressFile'),
  };
  const unknown = [...entries.keys()];
  if (unknown.length > 0) throw bad(path, `has unknown fields: ${unknown.join(', ')}`);
  return config;
}

/** The allowed addresses as they are now. No file: none. @throws {KmsError} BAD_INPUT */
export async function readAllowList(path: string): Promise<ReadonlySet<string>> {
  const value = await readJson(path, '[]');
  if (!Array.isArray(value)) throw bad(path, 'must hold a list of addresses');
  const addresses = value.filter((entry): entry is string => typeof entry === 'string');
  if (addresses.length !== value.length) throw bad(path, 'must hold a list of strings');
  for (const address of addresses) parseAddress(address);
  return new Set(addresses);
}

async function readJson(path: string, ifMissing?: string): Promise<unknown> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_EGRESS_FILE_BYTES) throw new RangeError('file is too large');
    return JSON.parse(text);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (missing && ifMissing !== undefined) return JSON.parse(ifMissing);
    throw bad(path, 'cannot be read as JSON', error);
  }
}

function bad(path: string, what: string, cause?: unknown): KmsError {
  return new KmsError('BAD_INPUT', `${path} ${what}`, { cause });
}
