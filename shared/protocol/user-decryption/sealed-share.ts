import { KmsError } from '../../errors.ts';
import type { ValueKind } from '../../fhe/envelope.ts';
import type { Digest, EpochId, KeyId, PartyId } from '../../ids.ts';
import type { Hashes, Rng, Signer, Verifier } from '../../primitives.ts';
import { equalBytes, utf8 } from '../../wire/bytes.ts';
import * as codec from '../../wire/codec.ts';
import { type Field, tupleHash } from '../statement.ts';
import { HPKE_OVERHEAD_BYTES, open, seal } from './hpke.ts';
import type { UserPrivateKey } from './user-key.ts';

/** What a user's request fixes; the same for every party that answers it. */
export interface ShareScope {
  /** Chosen by the user, 32 bytes. */
  readonly request: Uint8Array;
  readonly networkId: Digest;
  readonly key: KeyId;
  readonly epoch: EpochId;
  /** Of exactly the envelope bytes being decrypted. */
  readonly ciphertext: Digest;
  /** SHA-256 of the user's X-Wing public key. */
  readonly userKey: Digest;
  /** scalar: d_i is one coefficient; vector: all N. */
  readonly kind: ValueKind;
  /** Data primes left when decrypting. */
  readonly level: number;
}

/**
 * A partial decryption d_i, encrypted to the user and signed by its party (protocols.md section 5, step 2). The network id
 * is bound but not sent: whoever verifies knows it.
 */
export interface SealedShare extends Omit<ShareScope, 'networkId'> {
  readonly party: PartyId;
  /** HPKE encapsulation and ciphertext of the residues of d_i, little-endian u64. */
  readonly sealed: Uint8Array;
  /** Ed25519, by the party's identity key. */
  readonly signature: Uint8Array;
}

export interface OpenedShare {
  readonly party: PartyId;
  /** Secret. d_i: k words (scalar) or k*N words (vector), prime-major; not yet checked against the primes. */
  readonly residues: BigUint64Array;
}

/** 16384 coefficients of 9 primes and the envelope fit; anything larger is refused unread. */
const MAX_SEALED_BYTES = 2 << 20;
const INFO = utf8('kms/v1/user-decryption/share');
const kinds: readonly ValueKind[] = ['scalar', 'vector'];

const shareKind: codec.Codec<ValueKind> = {
  write: (out, value) => out.uint(kinds.indexOf(value), 1),
  read(from) {
    const kind = kinds[from.uint(1)];
    if (kind === undefined) throw new KmsError('BAD_ENCODING', 'unknown kind of partial decryption');
    return kind;
  },
};

export const sealedShareCodec: codec.Codec<SealedShare> = codec.struct<SealedShare>({
  request: codec.fixedBytes(32),
  key: codec.key,
  epoch: codec.epoch,
  ciphertext: codec.digest32,
  userKey: codec.digest32,
  kind: shareKind,
  level: codec.u8,
  party: codec.party,
  sealed: codec.bytes(MAX_SEALED_BYTES),
  signature: codec.signature64,
});

export function userKeyDigest(hashes: Hashes, publicKey: Uint8Array): Digest {
  return codec.decode(codec.digest32, hashes.sha256(publicKey));
}

/**
 * Encrypts a partial decryption to the user and signs the result. Secret in: `residues`; public out.
 * @param residues d_i, k or k*N words, prime-major, coefficient form
 * @returns the canonical encoding of a SealedShare
 * @throws {KmsError} BAD_INPUT when the user's public key is none, or is not the one that `scope` names
 */
export async function sealShare(
  scope: ShareScope,
  from: { readonly party: PartyId; readonly signer: Signer },
  residues: BigUint64Array,
  userPublicKey: Uint8Array,
  primitives: Hashes,
  rng: Rng,
): Promise<Uint8Array> {
  if (userKeyDigest(primitives, userPublicKey) !== scope.userKey) {
    throw new KmsError('BAD_INPUT', 'the request names another user key than the one it brings');
  }
  const plaintext = littleEndian(residues);
  const aad = shareAad(primitives, scope, from.party);
  const sealed = await seal(userPublicKey, INFO, aad, plaintext, rng);
  plaintext.fill(0);
  const signature = from.signer.sign(shareStatement(primitives, scope, from.party, sealed));
  const { networkId: _, ...sent } = scope;
  return codec.encode(sealedShareCodec, { ...sent, party: from.party, sealed, signature });
}

/**
 * Decodes an answer and checks that it is `party`'s signed answer to exactly this request. Not opened at this point.
 * @throws {KmsError} BAD_ENCODING; BAD_INPUT when it answers another request (anyone may have replayed it, so nobody is
 *   to blame); BAD_SIGNATURE
 */
export function verifyShare(
  encoded: Uint8Array,
  scope: ShareScope,
  identities: ReadonlyMap<PartyId, Uint8Array>,
  primitives: Hashes & Verifier,
): SealedShare {
  const share = codec.decode(sealedShareCodec, encoded);
  const same =
    equalBytes(share.request, scope.request) &&
    share.key === scope.key &&
    share.epoch === scope.epoch &&
    share.ciphertext === scope.ciphertext &&
    share.userKey === scope.userKey &&
    share.kind === scope.kind &&
    share.level === scope.level;
  if (!same) throw new KmsError('BAD_INPUT', 'this share answers another request');
  const identity = identities.get(share.party);
  const signed = shareStatement(primitives, scope, share.party, share.sealed);
  if (identity === undefined || !primitives.verify(identity, signed, share.signature)) {
    throw new KmsError('BAD_SIGNATURE', `the share is not signed by party ${share.party}`);
  }
  return share;
}

/**
 * Decrypts a share that `verifyShare` accepted. What fails here was signed by its party: the party is the culprit.
 * @throws {KmsError} BAD_INPUT or BAD_ENCODING, naming the party as culprit
 */
export async function openShare(
  share: SealedShare,
  scope: ShareScope,
  privateKey: UserPrivateKey,
  primitives: Hashes,
): Promise<OpenedShare> {
  const culprits = [share.party];
  if (share.sealed.length % 8 !== HPKE_OVERHEAD_BYTES % 8) {
    throw new KmsError('BAD_ENCODING', 'a partial decryption is whole 64-bit words', { culprits });
  }
  const aad = shareAad(primitives, scope, share.party);
  let plaintext: Uint8Array;
  try {
    plaintext = await open(privateKey, INFO, aad, share.sealed);
  } catch (cause) {
    const code = cause instanceof KmsError ? cause.code : 'BAD_INPUT';
    throw new KmsError(code, `party ${share.party} signed a share that does not open`, { culprits, cause });
  }
  return { party: share.party, residues: fromLittleEndian(plaintext) };
}

/** `verifyShare` and `openShare` in one. @throws {KmsError} as they do */
export async function verifyAndOpenShare(
  encoded: Uint8Array,
  scope: ShareScope,
  identities: ReadonlyMap<PartyId, Uint8Array>,
  privateKey: UserPrivateKey,
  primitives: Hashes & Verifier,
): Promise<OpenedShare> {
  return openShare(verifyShare(encoded, scope, identities, primitives), scope, privateKey, primitives);
}

/** The AAD of a sealed share, 32 bytes: everything that must not be swapped under a ciphertext. */
export function shareAad(hashes: Hashes, scope: ShareScope, party: PartyId): Uint8Array {
  return tupleHash(hashes, 'user-decryption/aad', ...boundFields(scope, party));
}

/** The hash that a party signs: every bound field and the sealed bytes. */
export function shareStatement(
  hashes: Hashes,
  scope: ShareScope,
  party: PartyId,
  sealed: Uint8Array,
): Uint8Array {
  return tupleHash(hashes, 'user-decryption/signature', ...boundFields(scope, party), hashes.sha256(sealed));
}

function boundFields(scope: ShareScope, party: PartyId): Field[] {
  const { request, networkId, key, epoch, ciphertext, userKey, kind, level } = scope;
  return [request, networkId, key, epoch, ciphertext, userKey, kind, level, party];
}

function littleEndian(words: BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(8 * words.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setBigUint64(8 * i, words[i]!, true);
  return bytes;
}

function fromLittleEndian(bytes: Uint8Array): BigUint64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return BigUint64Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}
