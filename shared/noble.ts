import { ed25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { shake128 } from '@noble/hashes/sha3.js';
import { isPrimeOrderPoint, PublicKeys } from './ed25519.ts';
import type { Hashes, Verifier } from './primitives.ts';

const keys = new PublicKeys((publicKey) => publicKey);

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
    const key = keys.get(publicKey);
    if (key === undefined) return false;
    try {
      // noble checks the equation times the cofactor: with R of prime order too, that is the strict rule of ed25519.ts.
      return (
        ed25519.verify(signature, message, key, { zip215: false }) &&
        isPrimeOrderPoint(signature.subarray(0, 32))
      );
    } catch {
      return false;
    }
  },
};
