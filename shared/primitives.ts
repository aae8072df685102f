/**
 * Standard cryptographic primitives, injected: the enclave gives OpenSSL's (node:crypto), the browser noble's.
 * shared/ never names an implementation.
 */
export interface Hashes {
  /** SHA-256 of the concatenation of the parts; 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** SHAKE128 (FIPS 202) of the input. */
  shake128(input: Uint8Array, sizeBytes: number): Uint8Array;
  /** HKDF-SHA-256 (RFC 5869). */
  hkdf(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, sizeBytes: number): Uint8Array;
}

/** AES-256 under one key, block by block (ECB): the raw permutation that the PRF's counter mode is made of. */
export interface BlockCipher {
  /** Encrypts blocks.length / 16 independent blocks into a new array. @param blocks a multiple of 16 bytes */
  encrypt(blocks: Uint8Array): Uint8Array;
}

export interface Ciphers {
  aes256(key: Uint8Array): BlockCipher;
}

/** Ed25519 (RFC 8032) signatures by identity and governance keys, by the one strict rule of ed25519.ts. */
export interface Verifier {
  /** Never throws: a malformed key or signature is simply not valid. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** A signing key that stays with its holder. */
export interface Signer {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/** Cryptographically secure random bytes; the only source of randomness a protocol has. */
export type Rng = (sizeBytes: number) => Uint8Array;

export type Primitives = Hashes & Ciphers & Verifier;
