import { KmsError } from '../../errors.ts';
import type { Digest, KeyId } from '../../ids.ts';
import { keyId } from '../../ids.ts';
import { type Codec, digest32, struct, text, u8 } from '../../wire/codec.ts';
import type { Membership } from '../machine.ts';
import { tupleDigest } from '../statement.ts';

/** The part of a membership that names depend on. */
export type Network = Pick<Membership, 'networkId' | 'epoch' | 'primitives'>;

/** Which Galois (rotation) keys to make: none; those that sum all slots; all of SEAL's default set. */
export type GaloisOption = 'none' | 'sum' | 'all';

const galoisOptions: readonly GaloisOption[] = ['none', 'sum', 'all'];

/** What a key is generated for: equal requests are the same request. */
export interface KeyRequest {
  /** Chosen by the caller. */
  readonly request: Digest;
  readonly preset: string;
  readonly galois: GaloisOption;
}

const galoisCodec: Codec<GaloisOption> = {
  write: (out, value) => u8.write(out, galoisOptions.indexOf(value)),
  read(from) {
    const option = galoisOptions[u8.read(from)];
    if (option === undefined) throw new KmsError('BAD_ENCODING', 'unknown Galois key option');
    return option;
  },
};

export const keyRequestCodec: Codec<KeyRequest> = struct({
  request: digest32,
  preset: text(64),
  galois: galoisCodec,
});

/** What the parties agree on sessions for. */
export function requestPurpose(of: Network, request: KeyRequest): Digest {
  const { primitives, networkId, epoch } = of;
  const { preset, galois } = request;
  return tupleDigest(primitives, 'keygen/request', networkId, epoch, request.request, preset, galois);
}

/** Every attempt makes a key of its own: a failed key generation is retried under a new key id only. */
export function keyIdOf(of: Network, purpose: Digest, attempt: number): KeyId {
  return keyId(tupleDigest(of.primitives, 'keygen/key-id', of.networkId, of.epoch, purpose, attempt));
}
