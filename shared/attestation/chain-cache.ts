import { toHex } from '../wire/bytes.ts';

/** A certificate chain whose links and signatures were verified; whether it is valid depends on the time. */
export interface VerifiedChain {
  /** The key of the leaf, for ECDSA over P-384. */
  readonly leafKey: CryptoKey;
  /** The time in which every certificate is valid. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const DEFAULT_ENTRIES = 128;

/**
 * Verified chains by hash of all their certificates, least recently used first out. Chains that failed are not kept, so
 * only who holds a certificate under a pinned root can fill it. Public data only.
 */
export class ChainCache {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, VerifiedChain>();

  constructor(maxEntries: number = DEFAULT_ENTRIES) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): VerifiedChain | undefined {
    const chain = this.#entries.get(name);
    if (chain !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, chain);
    }
    return chain;
  }

  set(name: string, chain: VerifiedChain): void {
    this.#entries.delete(name);
    this.#entries.set(name, chain);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries) break;
      this.#entries.delete(oldest);
    }
  }
}

/** SHA-256 of the certificates, root first, each preceded by its length. */
export async function chainName(certificates: readonly Uint8Array[]): Promise<string> {
  const sizeBytes = certificates.reduce((sum, der) => sum + 4 + der.length, 0);
  const all = new Uint8Array(sizeBytes);
  const view = new DataView(all.buffer);
  let at = 0;
  for (const der of certificates) {
    view.setUint32(at, der.length);
    all.set(der, at + 4);
    at += 4 + der.length;
  }
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', all)));
}
