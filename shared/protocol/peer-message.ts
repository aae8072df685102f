import { KmsError } from '../errors.ts';
import type { ValueKind } from '../fhe/envelope.ts';
import { MAX_BATCH_LEAVES } from '../gateway/batch.ts';
import { SIGNATURE_BYTES } from '../gateway/signature.ts';
import type { Digest, KeyId } from '../ids.ts';
import type { Residues } from '../math/ring.ts';
import { type MembershipMessage, membershipMessage } from '../membership/messages.ts';
import {
  bool,
  bytes,
  type Codec,
  digest32,
  fixedBytes,
  key,
  list,
  residues,
  signature64,
  struct,
  u8,
  union,
} from '../wire/codec.ts';

/** One payload between two enclaves. */
export type PeerMessage =
  /** Key generation for one request; the body is a KeygenMessage. */
  | { readonly kind: 'keygen'; readonly purpose: Digest; readonly body: Uint8Array }
  /** A signed share of a public decryption. */
  | {
      readonly kind: 'decryption-share';
      readonly key: KeyId;
      readonly ciphertext: Digest;
      readonly value: ValueKind;
      readonly share: Residues;
      readonly signature: Uint8Array;
    }
  /** What a member's result signer has signed for the gateway's contracts (enclave/gateway/signature-pool.ts). */
  | {
      readonly kind: 'result-word';
      /** 32 bytes. */
      readonly topic: Uint8Array;
      /** At most 32 bytes. */
      readonly own: Uint8Array;
      /** 65 bytes. */
      readonly signature: Uint8Array;
      /** Whether the receiver's own is wanted. */
      readonly asks: boolean;
    }
  /** Asks for the receiver's word on many results at once (enclave/gateway/batch-desk.ts). */
  | {
      readonly kind: 'result-batch';
      /** 32 bytes each. */
      readonly leaves: readonly Uint8Array[];
    }
  /** What enclaves tell each other about themselves. */
  | { readonly kind: 'membership'; readonly message: MembershipMessage };

export const MAX_PEER_MESSAGE_BYTES = 8 << 20;
const kinds: readonly ValueKind[] = ['scalar', 'vector'];

const valueKind: Codec<ValueKind> = {
  write: (out, value) => u8.write(out, kinds.indexOf(value)),
  read(from) {
    const kind = kinds[u8.read(from)];
    if (kind === undefined) throw new KmsError('BAD_ENCODING', 'unknown kind of value');
    return kind;
  },
};

export const peerMessage: Codec<PeerMessage> = union<PeerMessage>({
  keygen: struct({ purpose: digest32, body: bytes(MAX_PEER_MESSAGE_BYTES) }),
  'decryption-share': struct({
    key,
    ciphertext: digest32,
    value: valueKind,
    share: residues(32768 * 8),
    signature: signature64,
  }),
  membership: struct({ message: membershipMessage }),
  'result-word': struct({
    topic: fixedBytes(32),
    own: bytes(32),
    signature: fixedBytes(SIGNATURE_BYTES),
    asks: bool,
  }),
  'result-batch': struct({ leaves: list(fixedBytes(32), MAX_BATCH_LEAVES) }),
});
