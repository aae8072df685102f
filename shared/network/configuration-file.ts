import { bytes, type Codec, decode, encode, list, struct, u8 } from '../wire/codec.ts';
import { badConfiguration } from './configuration.ts';
import {
  decodeSignedConfiguration,
  encodeSignedConfiguration,
  MAX_SIGNED_CONFIGURATION_BYTES,
  type SignedConfiguration,
} from './signed-configuration.ts';

/** A network's configurations 0, 1, 2, ... in one file, as clients and operators keep them; worth what their signatures are. */

const FORMAT = 1;
const MAX_CONFIGURATIONS = 4096;
export const MAX_CONFIGURATION_FILE_BYTES = 16 << 20;

const layout: Codec<{ readonly format: number; readonly all: readonly Uint8Array[] }> = struct({
  format: u8,
  all: list(bytes(MAX_SIGNED_CONFIGURATION_BYTES), MAX_CONFIGURATIONS),
});

/** @throws {KmsError} BAD_CONFIGURATION */
export function encodeConfigurations(all: readonly SignedConfiguration[]): Uint8Array {
  return encode(layout, { format: FORMAT, all: all.map(encodeSignedConfiguration) });
}

/** Not verified at this point: ConfigurationChain does. @throws {KmsError} BAD_CONFIGURATION */
export function decodeConfigurations(file: Uint8Array): readonly SignedConfiguration[] {
  let read: { readonly format: number; readonly all: readonly Uint8Array[] };
  try {
    read = decode(layout, file);
  } catch (cause) {
    throw badConfiguration("this is not a file of a network's configurations", cause);
  }
  if (read.format !== FORMAT)
    throw badConfiguration(`configuration file format ${read.format} is not supported`);
  return read.all.map(decodeSignedConfiguration);
}
