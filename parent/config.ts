import { readFile } from 'node:fs/promises';
import { type Address, parseAddress } from '../shared/address.ts';
import { KmsError } from '../shared/errors.ts';

/** A parent's configuration: one JSON file, given by the operator. Nothing in it is secret. */
export interface ParentConfig {
  /** Where the node is reached from outside. */
  readonly listen: Address;
  /** Holds the sockets shared with the enclave. */
  readonly socketDirectory: string;
  /** The network's configurations (shared/network/configuration-file.ts): whom the enclave may reach. May appear later. */
  readonly configurationsFile: string;
  /** Where health and metrics are served; on this machine only. Undefined: nowhere. */
  readonly status: Address | undefined;
}

const MAX_CONFIG_BYTES = 64 * 1024;
const LOOPBACK = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;

/** @throws {KmsError} BAD_INPUT */
export async function readParentConfig(path: string): Promise<ParentConfig> {
  const value = await readJson(path);
  if (typeof value !== 'object' || value === null) throw bad(path, 'must hold an object');
  const entries = new Map<string, unknown>(Object.entries(value));
  const optional = (name: string): string | undefined => {
    const text = entries.get(name);
    entries.delete(name);
    if (text === undefined) return undefined;
    if (typeof text !== 'string' || text === '') throw bad(path, `has no string as "${name}"`);
    return text;
  };
  const field = (name: string): string => {
    const text = optional(name);
    if (text === undefined) throw bad(path, `lacks the string "${name}"`);
    return text;
  };
  const status = optional('status');
  const config = {
    listen: parseAddress(field('listen')),
    socketDirectory: field('socketDirectory'),
    configurationsFile: field('configurationsFile'),
    status: status === undefined ? undefined : parseAddress(status),
  };
  if (config.status !== undefined && !LOOPBACK.test(config.status.host)) {
    throw bad(path, 'serves "status" on this machine only: give it a loopback address');
  }
  const unknown = [...entries.keys()];
  if (unknown.length > 0) throw bad(path, `has unknown fields: ${unknown.join(', ')}`);
  return config;
}

async function readJson(path: string): Promise<unknown> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_CONFIG_BYTES) throw new RangeError('file is too large');
    return JSON.parse(text);
  } catch (error) {
    throw bad(path, 'cannot be read as JSON', error);
  }
}

function bad(path: string, what: string, cause?: unknown): KmsError {
  return new KmsError('BAD_INPUT', `${path} ${what}`, { cause });
}
