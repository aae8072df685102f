import { KmsError } from './errors.ts';

/** A network address as configurations hold it. */
export interface Address {
  /** DNS name or IPv4 address, lower case, or an IPv6 address without its brackets. */
  readonly host: string;
  /** 1..65535 */
  readonly port: number;
}

export const MAX_ADDRESS_BYTES = 260;

const shape =
  /^(?:(?<name>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)|\[(?<v6>[0-9a-f:.]{2,45})\]):(?<port>[1-9][0-9]{0,4})$/;

/**
 * Reads `host:port` or `[ipv6]:port` in its one accepted spelling: lower case, no leading zeros in the port.
 * @throws {KmsError} BAD_INPUT
 */
export function parseAddress(text: string): Address {
  const groups = text.length <= MAX_ADDRESS_BYTES ? shape.exec(text)?.groups : undefined;
  const host = groups?.name ?? groups?.v6;
  const port = Number(groups?.port);
  if (host === undefined || port > 65535) {
    throw new KmsError('BAD_INPUT', 'an address is host:port in lower case, port 1..65535');
  }
  return { host, port };
}
