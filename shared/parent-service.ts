import type { PartyId } from './ids.ts';
import { MAX_GENESIS_BYTES } from './network/genesis.ts';
import { MAX_SIGNED_CONFIGURATION_BYTES } from './network/signed-configuration.ts';
import { bytes, type Codec, list, optional, party, struct, text, u64 } from './wire/codec.ts';

/**
 * What an enclave asks of its own parent, by the first line of an egress stream in place of an address. The parent answers
 * with a length (u32, little endian) and that many bytes; the enclave then ends the stream. Nothing in an answer is believed: it
 * is signed by others, or only authorises.
 */
export type ParentService = 'introduction' | 'credentials';

export const parentServices: readonly ParentService[] = ['introduction', 'credentials'];

/** The network that the parent's node belongs to: what joining takes. */
export interface Introduction {
  readonly genesis: Uint8Array;
  readonly configurations: readonly Uint8Array[];
  /** Which member the node is, for one that starts again. */
  readonly party: PartyId | undefined;
}

/** Credentials of the role that the configuration names; they authorise requests to AWS. */
export interface LentCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  /** Unix time. */
  readonly expiresMs: bigint | undefined;
}

export const MAX_ANSWER_BYTES = 32 << 20;
export const MAX_CONFIGURATIONS = 4096;

export const introductionCodec: Codec<Introduction> = struct({
  genesis: bytes(MAX_GENESIS_BYTES),
  configurations: list(bytes(MAX_SIGNED_CONFIGURATION_BYTES), MAX_CONFIGURATIONS),
  party: optional(party),
});

export const credentialsCodec: Codec<LentCredentials> = struct({
  accessKeyId: text(128),
  secretAccessKey: text(256),
  sessionToken: optional(text(8192)),
  expiresMs: optional(u64),
});
