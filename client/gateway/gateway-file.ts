import type { Hex } from '../../gateway/adapter/chain-data.ts';
import { Fields } from '../../gateway/adapter/config-file.ts';
import { KmsError } from '../../shared/errors.ts';

export interface ChainPlace {
  readonly chainId: bigint;
  /** Of its JSON-RPC endpoint. */
  readonly url: string;
}

/** Where a network's gateway and those who serve it are found. Public, and believed in nothing: it says whom to ask. */
export interface GatewayPlaces {
  readonly gateway: ChainPlace & { readonly registry: Hex };
  /** At least one. */
  readonly hosts: readonly ChainPlace[];
  /** Where inputs are brought and envelopes fetched. */
  readonly coprocessors: readonly string[];
  /** Of the parents, by party: where users bring their keys and fetch their shares. */
  readonly connectors: readonly string[];
}

export const MAX_GATEWAY_FILE_BYTES = 64 << 10;
const FORMAT = 1;
const MAX_CHAIN_ID = 2 ** 48 - 1;
const MAX_URLS = 64;

/**
 * ```
 * {
 *   "format": 1, "gateway": {"chainId": 1, "url": "http://...", "registry": "0x..."},
 *   "hosts": [{"chainId": 2, "url": "http://..."}], "coprocessors": ["http://..."], "connectors": ["http://..."]
 * }
 * ```
 * @throws {KmsError} BAD_INPUT, TOO_LARGE
 */
export function decodeGatewayFile(bytes: Uint8Array): GatewayPlaces {
  if (bytes.length > MAX_GATEWAY_FILE_BYTES) {
    throw new KmsError('TOO_LARGE', `a gateway file has at most ${MAX_GATEWAY_FILE_BYTES} bytes`);
  }
  const fields = new Fields('the gateway file', parsed(bytes));
  fields.integer('format', FORMAT, FORMAT);
  const gateway = fields.object('gateway');
  const places = {
    gateway: { ...chainPlace(gateway), registry: gateway.address('registry') },
    hosts: fields.list('hosts').map((host) => {
      const place = chainPlace(host);
      host.end();
      return place;
    }),
    coprocessors: urls(fields, 'coprocessors'),
    connectors: urls(fields, 'connectors'),
  };
  gateway.end();
  fields.end();
  const { hosts } = places;
  const ids = new Set([places.gateway, ...hosts].map(({ chainId }) => chainId));
  if (hosts.length === 0 || hosts.length > MAX_URLS || ids.size !== hosts.length + 1) {
    throw new KmsError('BAD_INPUT', `the gateway file names 1..${MAX_URLS} "hosts", each chain once`);
  }
  return places;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new KmsError('BAD_INPUT', 'the gateway file is not JSON', { cause });
  }
}

function chainPlace(fields: Fields): ChainPlace {
  return { chainId: BigInt(fields.integer('chainId', 1, MAX_CHAIN_ID)), url: urlFrom(fields.text('url')) };
}

function urls(fields: Fields, name: string): readonly string[] {
  const all = fields.texts(name).map(urlFrom);
  if (all.length === 0 || all.length > MAX_URLS) {
    throw new KmsError('BAD_INPUT', `the gateway file names 1..${MAX_URLS} "${name}"`);
  }
  return all;
}

/** Without a slash at its end. */
function urlFrom(text: string): string {
  const url = URL.parse(text);
  const isGood = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
  if (!isGood) throw new KmsError('BAD_INPUT', `'${text.slice(0, 200)}' is no http or https URL`);
  return text.replace(/\/+$/, '');
}
