import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import { utf8 } from '../wire/bytes.ts';
import { type Codec, u8 } from '../wire/codec.ts';

/**
 * Which builds form a network, and by which attestation root: AWS's, that of the lab under emulation, or that of mock
 * enclaves, which prove nothing. A build joins networks of its own class only (decision 0004).
 */
export type NetworkClass = 'production' | 'lab' | 'mock';

export const networkClasses: readonly NetworkClass[] = ['production', 'lab', 'mock'];

/** The first 4 bytes of the id of every network of the class. */
const tags: Readonly<Record<NetworkClass, Uint8Array>> = {
  production: utf8('kms\0'),
  lab: utf8('lab\0'),
  mock: utf8('mock'),
};

export const TAG_BYTES = 4;

export function tagOf(of: NetworkClass): Uint8Array {
  return tags[of].slice();
}

/** The class that an id names; undefined for 32 bytes that are no network's id. */
export function classOf(networkId: Digest): NetworkClass | undefined {
  const tag = networkId.slice(0, 2 * TAG_BYTES);
  return networkClasses.find(
    (one) => [...tags[one]].map((byte) => byte.toString(16).padStart(2, '0')).join('') === tag,
  );
}

export const networkClass: Codec<NetworkClass> = {
  write: (out, value) => u8.write(out, networkClasses.indexOf(value)),
  read(from) {
    const found = networkClasses[u8.read(from)];
    if (found === undefined) throw new KmsError('BAD_ENCODING', 'unknown class of network');
    return found;
  },
};
