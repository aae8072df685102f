import type { Hex } from '../../gateway/adapter/chain-data.ts';
import {
  type ChainConfig,
  chainConfig,
  type Fields,
  type Place,
  places,
} from '../../gateway/adapter/config-file.ts';
import { type Address, parseAddress } from '../../shared/address.ts';
import { KmsError } from '../../shared/errors.ts';

/** PEM: the chain of certificates, its own first, and its private key. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** The connector's part of a parent's configuration. Nothing in it is secret; the account's key is in a file of its own. */
export interface ConnectorConfig {
  /** Of this parent alone: cursor, unfinished work, users' keys, shares. */
  readonly stateDirectory: string;
  /** 64 hex digits; an account with money on the gateway chain, used by nobody else. */
  readonly accountKeyFile: string;
  /** Where users bring keys and fetch shares. */
  readonly listen: Address;
  /** Of that address; without it something before it ends TLS, or there is none. */
  readonly tls?: TlsFiles;
  readonly gateway: ChainConfig & { readonly registry: Hex };
  readonly hosts: readonly ChainConfig[];
  /** Where envelopes are found under their handles; asked in this order. */
  readonly envelopes: readonly Place[];
}

const MAX_HOSTS = 64;

/**
 * ```
 * {
 *   "stateDirectory": "...", "accountKeyFile": "...", "listen": "<host>:<port>",
 *   "tls": {"certificateFile": "...pem", "keyFile": "...pem"},
 *   "gateway": {"url": "http://...", "chainId": 1, "registry": "0x...", "startBlock": 0, "confirmations": 1},
 *   "hosts": [{"url": "http://...", "chainId": 2, "startBlock": 0, "confirmations": 1}],
 *   "envelopes": [{"url": "https://coprocessor/envelopes"}, {"directory": "..."}]
 * }
 * ```
 * The gateway is asked for its newest block every "pollMs", 50 unless stated; with "headsUrl" (ws:// or wss://) when it announces a
 * block there, and at times besides. Hosts are not followed, and neither is used of them. Without "confirmations" only finalized blocks
 * count; they follow the rule that the network's configuration has for the chain. "tls" may be left out.
 * @throws {KmsError} BAD_INPUT
 */
export function connectorConfig(fields: Fields): ConnectorConfig {
  const gateway = fields.object('gateway');
  const tls = tlsFiles(fields);
  const config = {
    stateDirectory: fields.text('stateDirectory'),
    accountKeyFile: fields.text('accountKeyFile'),
    listen: parseAddress(fields.text('listen')),
    ...(tls === undefined ? {} : { tls }),
    gateway: { ...chainConfig(gateway), registry: gateway.address('registry') },
    hosts: fields.list('hosts').map((host) => {
      const one = chainConfig(host);
      host.end();
      return one;
    }),
    envelopes: places(fields, 'envelopes'),
  };
  gateway.end();
  fields.end();
  const { hosts } = config;
  const ids = new Set([config.gateway, ...hosts].map(({ chainId }) => chainId));
  if (ids.size !== hosts.length + 1 || hosts.length > MAX_HOSTS) {
    throw new KmsError('BAD_INPUT', `a connector has at most ${MAX_HOSTS} host chains, each chain once`);
  }
  return config;
}

function tlsFiles(fields: Fields): TlsFiles | undefined {
  const tls = fields.optionalObject('tls');
  if (tls === undefined) return undefined;
  const files = { certificateFile: tls.text('certificateFile'), keyFile: tls.text('keyFile') };
  tls.end();
  return files;
}
