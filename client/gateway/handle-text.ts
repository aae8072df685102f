import { bytesOf, type Hex } from '../../gateway/adapter/chain-data.ts';
import { readHandle } from '../../shared/gateway/handle.ts';

/**
 * A handle as people write it: 0x and 64 hex digits.
 * @returns lower case; undefined for a text that does not look like one
 * @throws {KmsError} BAD_ENCODING for one that looks like it and is none
 */
export function handleFrom(text: string): Hex | undefined {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) return undefined;
  const handle = text.toLowerCase() as Hex;
  readHandle(bytesOf(handle));
  return handle;
}
