import { type Address, MAX_ADDRESS_BYTES, parseAddress } from './address.ts';
import { KmsError } from './errors.ts';
import { concat, utf8 } from './wire/bytes.ts';

/**
 * What an enclave writes first on an egress stream: the address it wants, one line. Everything behind it is piped. There
 * is no answer: a parent that refuses closes the stream.
 */
export const MAX_EGRESS_LINE_BYTES = MAX_ADDRESS_BYTES + 1;

const NEWLINE = 10;

/** @throws {KmsError} BAD_INPUT unless address is `host:port` */
export function egressLine(address: string): Uint8Array {
  parseAddress(address);
  return concat(utf8(address), Uint8Array.of(NEWLINE));
}

/**
 * Splits what has arrived so far. Undefined: the line is not complete yet.
 * @throws {KmsError} TOO_LARGE if no line ends within the limit, BAD_INPUT if it is not an address
 */
export function readEgressLine(
  received: Uint8Array,
): { readonly text: string; readonly address: Address; readonly rest: Uint8Array } | undefined {
  const end = received.subarray(0, MAX_EGRESS_LINE_BYTES).indexOf(NEWLINE);
  if (end < 0) {
    if (received.length >= MAX_EGRESS_LINE_BYTES) throw new KmsError('TOO_LARGE', 'egress line is too long');
    return undefined;
  }
  const text = String.fromCharCode(...received.subarray(0, end));
  return { text, address: parseAddress(text), rest: received.subarray(end + 1) };
}
