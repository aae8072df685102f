import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { shake128 } from '@noble/hashes/sha3.js';
import type { Hashes, Verifier } from './primitives.ts';

/** SHA-256, SHAKE128, HKDF and Ed25519 without any platform API: what a browser uses. Verification is of public data only. */
export const noble: Hashes & Verifier = {
  sha256(...parts) {
    const hash = sha256.create();
    for (const part of parts) hash.update(part);
    return hash.digest();
  },

  shake128: (input, sizeBytes) => shake128(input, { dkLen: sizeBytes }),

  hkdf: (ikm, salt, info, sizeBytes) => hkdf(sha256, ikm, salt, info, sizeBytes),

  verify(publicKey, message, signature) {
    try {
      // RFC 8032 as OpenSSL applies it; ZIP 215 would accept more encodings of a point.
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      return false;
    }
  },
};
