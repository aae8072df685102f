import { KmsError } from '../shared/errors.ts';
import type { Signer } from '../shared/primitives.ts';
import { equalBytes } from '../shared/wire/bytes.ts';
import { ed25519Signer } from './primitives.ts';
import type { SealedStore } from './store/sealed-store.ts';

/** Tier 1: speaks for the node while its identity is sealed. */
export const BOOT_KEY = 'node/boot-key';
/** Tier 2. */
export const IDENTITY = 'node/identity';

/**
 * A sealed Ed25519 key, which must be the one that the configuration names.
 * @throws {KmsError} STORE_FAILED
 */
export async function sealedSigner(
  store: SealedStore,
  name: typeof BOOT_KEY | typeof IDENTITY,
  publicKey: Uint8Array,
): Promise<Signer> {
  const seed = await store.get(name);
  if (seed === undefined) throw new KmsError('STORE_FAILED', `there is no ${name} in the bucket`);
  const signer = ed25519Signer(seed);
  seed.fill(0);
  if (!equalBytes(signer.publicKey, publicKey)) {
    throw new KmsError(
      'STORE_FAILED',
      `the ${name} in the bucket is not the one that the configuration names`,
    );
  }
  return signer;
}
