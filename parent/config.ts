import { readFile } from 'node:fs/promises';
import { Fields } from '../gateway/adapter/config-file.ts';
import { type Address, parseAddress } from '../shared/address.ts';
import { KmsError } from '../shared/errors.ts';
import { MAX_PARTIES, type PartyId, partyId } from '../shared/ids.ts';
import { VSOCK_PORTS } from '../shared/native/link.ts';
import { type ConnectorConfig, connectorConfig } from './connector/config.ts';
import { HEARTBEAT_PORT } from './link/heartbeat.ts';
import type { LinkConfig } from './link/open.ts';
import type { LinkPorts } from './link/vsock.ts';

/** A parent's configuration: one JSON file, given by the operator. Nothing in it is secret. */
export interface ParentConfig {
  /** Where the node is reached from outside. */
  readonly listen: Address;
  /**
   * One of `socketDirectory`, which holds the sockets shared with a mock enclave; `enclaveCid`, the AF_VSOCK context of an
   * enclave; `vhostSocket`, the socket of vhost-device-vsock for an emulated one. The last two may have `ports`.
   */
  readonly link: LinkConfig;
  /** The network's configurations (shared/network/configuration-file.ts): whom the enclave may reach. May appear later. */
  readonly configurationsFile: string;
  /** The network's genesis: told to the enclave at each start. Undefined: its operator does so (`kms node join`). */
  readonly genesisFile: string | undefined;
  /** Which member the node is. */
  readonly party: PartyId | undefined;
  /** AWS credentials as JSON. Undefined: those of the instance's role. */
  readonly credentialsFile: string | undefined;
  /** Where some allowed addresses are to be found instead of where their names lead: stand-ins on this machine. */
  readonly hosts: ReadonlyMap<string, Address>;
  /** Where health and metrics are served; on this machine only. Undefined: nowhere. */
  readonly status: Address | undefined;
  /** Between the gateway's chain and the enclave. Undefined: the network has no gateway, or another process of this node does it. */
  readonly connector: ConnectorConfig | undefined;
}

const MAX_CONFIG_BYTES = 64 * 1024;
const LOOPBACK = /^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost)$/;

/** @throws {KmsError} BAD_INPUT */
export async function readParentConfig(path: string): Promise<ParentConfig> {
  const value = await readJson(path);
  if (typeof value !== 'object' || value === null) throw bad(path, 'must hold an object');
  const entries = new Map<string, unknown>(Object.entries(value));
  const take = (name: string): unknown => {
    const entry = entries.get(name);
    entries.delete(name);
    return entry;
  };
  const optional = (name: string): string | undefined => {
    const text = take(name);
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
  const connector = take('connector');
  const config = {
    listen: parseAddress(field('listen')),
    link: linkOf(path, take),
    configurationsFile: field('configurationsFile'),
    genesisFile: optional('genesisFile'),
    party: partyOf(path, take('party')),
    credentialsFile: optional('credentialsFile'),
    hosts: hostsOf(path, take('hosts')),
    status: status === undefined ? undefined : parseAddress(status),
    connector:
      connector === undefined ? undefined : connectorConfig(new Fields(`${path}: "connector"`, connector)),
  };
  if (config.status !== undefined && !LOOPBACK.test(config.status.host)) {
    throw bad(path, 'serves "status" on this machine only: give it a loopback address');
  }
  const unknown = [...entries.keys()];
  if (unknown.length > 0) throw bad(path, `has unknown fields: ${unknown.join(', ')}`);
  return config;
}

function linkOf(path: string, take: (name: string) => unknown): LinkConfig {
  const [socketDirectory, enclaveCid, vhostSocket] = ['socketDirectory', 'enclaveCid', 'vhostSocket'].map(
    take,
  );
  const ports = take('ports');
  const named = [socketDirectory, enclaveCid, vhostSocket].filter((one) => one !== undefined);
  if (named.length === 1) {
    if (isText(socketDirectory) && ports === undefined) return { kind: 'unix', socketDirectory };
    if (isCid(enclaveCid)) return { kind: 'vsock', enclaveCid, ports: portsOf(path, ports) };
    if (isText(vhostSocket)) return { kind: 'vhost', vhostSocket, ports: portsOf(path, ports) };
  }
  throw bad(
    path,
    'needs one of "socketDirectory", "enclaveCid" (4 or more) or "vhostSocket"; "ports" only with the latter two',
  );
}

function portsOf(path: string, value: unknown): LinkPorts {
  if (value === undefined) return VSOCK_PORTS;
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  const named = new Map<string, unknown>(entries);
  const [ingress, members, egress] = ['ingress', 'members', 'egress'].map((name) => named.get(name));
  const areDifferent = new Set(named.values()).size === 3;
  if (entries.length !== 3 || !areDifferent || !isPort(ingress) || !isPort(members) || !isPort(egress)) {
    throw bad(path, 'has "ports" that are not three different ones for "ingress", "members" and "egress"');
  }
  return { ingress, members, egress };
}

function partyOf(path: string, value: unknown): PartyId | undefined {
  if (value === undefined) return undefined;
  if (!isWithin(value, 1, MAX_PARTIES)) throw bad(path, `has a "party" that is not in 1..${MAX_PARTIES}`);
  return partyId(value);
}

function hostsOf(path: string, value: unknown): ReadonlyMap<string, Address> {
  if (value === undefined) return new Map();
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entries.length === 0)
    throw bad(path, 'has "hosts" that are not {"<host>:<port>": "<host>:<port>", ...}');
  return new Map(
    entries.map(([name, address]: [string, unknown]) => {
      parseAddress(name);
      if (!isText(address)) throw bad(path, `has no address for ${name} in "hosts"`);
      return [name, parseAddress(address)];
    }),
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** Contexts below 4 are the hypervisor, the machine itself, and parents. */
function isCid(value: unknown): value is number {
  return isWithin(value, 4, 0xffff_fffe);
}

function isPort(value: unknown): value is number {
  return isWithin(value, 1, 0xffff_fffe) && value !== HEARTBEAT_PORT;
}

function isWithin(value: unknown, from: number, to: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to;
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
