import { parseAddress } from '../address.ts';
import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import { NO_DIGEST } from '../protocol/statement.ts';
import { type Codec, digest32, list, struct, text, u8 } from '../wire/codec.ts';

/** One JSON-RPC endpoint of the gateway chain and the SHA-256 pins of the public keys its TLS may show. */
export interface RpcEndpoint {
  readonly url: string;
  readonly spkiPins: readonly Digest[];
}

/** k of m endpoints must agree on a header, k > m/2; none at all in a network without a gateway. */
export interface RpcSet {
  readonly k: number;
  readonly endpoints: readonly RpcEndpoint[];
}

const MAX_ENDPOINTS = 16;
const MAX_PINS = 4;
const MAX_URL_BYTES = 256;
const HTTPS_PORT = '443';
/** https, host in lower case, a path without spaces; no user, no fragment. */
const url = /^https:\/\/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?(?:\/[!-"$-~]*)?$/;

export const rpcSetCodec: Codec<RpcSet> = struct({
  k: u8,
  endpoints: list<RpcEndpoint>(
    struct({ url: text(MAX_URL_BYTES), spkiPins: list(digest32, MAX_PINS) }),
    MAX_ENDPOINTS,
  ),
});

/**
 * @param hasGateway without one there is nothing to ask: k and m are 0
 * @throws {KmsError} BAD_INPUT
 */
export function checkRpcSet({ k, endpoints }: RpcSet, hasGateway: boolean): void {
  const m = endpoints.length;
  if (!hasGateway) {
    if (k === 0 && m === 0) return;
    throw new KmsError('BAD_INPUT', 'a network without a gateway has no RPC endpoints');
  }
  if (!(m <= MAX_ENDPOINTS && k <= m && 2 * k > m)) {
    throw new KmsError('BAD_INPUT', `k of m RPC endpoints must agree, m/2 < k <= m; got k=${k}, m=${m}`);
  }
  if (new Set(endpoints.map((one) => one.url)).size !== m) {
    throw new KmsError('BAD_INPUT', 'two RPC endpoints have the same URL');
  }
  for (const endpoint of endpoints) checkEndpoint(endpoint);
}

function checkEndpoint(endpoint: RpcEndpoint): void {
  const { spkiPins } = endpoint;
  if (endpoint.url.length > MAX_URL_BYTES || !url.test(endpoint.url)) {
    throw new KmsError('BAD_INPUT', `an RPC endpoint is an https URL, host in lower case: ${endpoint.url}`);
  }
  parseAddress(rpcAddress(endpoint.url));
  if (spkiPins.length === 0 || spkiPins.length > MAX_PINS || new Set(spkiPins).size !== spkiPins.length) {
    throw new KmsError('BAD_INPUT', `${endpoint.url} needs 1..${MAX_PINS} different pins`);
  }
  if (spkiPins.includes(NO_DIGEST)) throw new KmsError('BAD_INPUT', `a pin of ${endpoint.url} is all zero`);
}

/** Where the enclave asks its parent to connect: `host:port` of a URL that checkRpcSet() accepts. */
export function rpcAddress(endpointUrl: string): string {
  const [, host = '', port = HTTPS_PORT] = /^https:\/\/([^/:]+)(?::([0-9]+))?/.exec(endpointUrl) ?? [];
  return `${host}:${port}`;
}
