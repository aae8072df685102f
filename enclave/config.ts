import { readFile } from 'node:fs/promises';
import { KmsError } from '../shared/errors.ts';
import type { LinkConfig } from './link/open.ts';

/** An enclave's configuration: one JSON file. Nothing in it is secret, nothing in it is trusted by a peer. */
export interface EnclaveConfig {
  /** `socketDirectory`, which holds the sockets shared with the parent, or `parentCid`, the parent's AF_VSOCK context. */
  readonly link: LinkConfig;
  /** Length of a synchronous round: network bound plus clock error. */
  readonly roundMs: number;
  /** How long a key generation waits for an opening after its setup. */
  readonly openingMs: number;
  /** How long one attempt at a cloud service may take, where this machine is slow; default: what suits the service. */
  readonly cloudMs: number | undefined;
}

const MAX_MS = 3_600_000;

/** @throws {KmsError} BAD_INPUT */
export async function readEnclaveConfig(path: string): Promise<EnclaveConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new KmsError('BAD_INPUT', `${path} cannot be read as JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new KmsError('BAD_INPUT', `${path} holds no object`);
  const entries = new Map<string, unknown>(Object.entries(value));
  const take = (name: string): unknown => {
    const entry = entries.get(name);
    entries.delete(name);
    return entry;
  };
  const config = {
    link: linkOf(path, take('socketDirectory'), take('parentCid')),
    roundMs: millisecondsOf(path, 'roundMs', take('roundMs')),
    openingMs: millisecondsOf(path, 'openingMs', take('openingMs')),
    cloudMs: optionalMilliseconds(path, 'cloudMs', take('cloudMs')),
  };
  const unknown = [...entries.keys()];
  if (unknown.length > 0)
    throw new KmsError('BAD_INPUT', `${path} has unknown fields: ${unknown.join(', ')}`);
  return config;
}

function linkOf(path: string, socketDirectory: unknown, parentCid: unknown): LinkConfig {
  if (parentCid === undefined) {
    return { kind: 'unix', socketDirectory: textOf(path, 'socketDirectory', socketDirectory) };
  }
  if (socketDirectory !== undefined || !isCid(parentCid)) {
    throw new KmsError(
      'BAD_INPUT',
      `${path} needs "socketDirectory" or the context id "parentCid", not both`,
    );
  }
  return { kind: 'vsock', parentCid };
}

function isCid(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 2 && value < 0xffff_ffff;
}

function textOf(path: string, name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new KmsError('BAD_INPUT', `${path} lacks the string "${name}"`);
  return value;
}

function optionalMilliseconds(path: string, name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : millisecondsOf(path, name, value);
}

function millisecondsOf(path: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_MS) {
    throw new KmsError('BAD_INPUT', `${path}: "${name}" is a number of milliseconds, 1..${MAX_MS}`);
  }
  return value;
}
