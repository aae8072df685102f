import type { PartyId } from '../ids.ts';
import { Allowance } from './allowance.ts';
import type { Membership } from './machine.ts';

/** Invalid signatures that one peer may bring at once, and again over so long a time. */
const FORGERIES_PER_PEER = 16;
const REFILL_MS = 3_600_000;

/**
 * Who brings invalid signatures is soon not heard any more, so that nobody makes this party verify without end. An honest
 * peer brings none: it passes on what it has verified, by the one rule of ed25519.ts, and nothing of another session. The
 * peer is the authenticated sender, whoever the signature claims to be of, so nobody can get another one silenced. Signed
 * lies are not counted here: they are evidence.
 */
export class Forgeries {
  readonly #allowance = new Allowance(FORGERIES_PER_PEER, REFILL_MS);
  #speaker: { readonly party: PartyId; readonly nowMs: number } | undefined;

  /** The same membership, whose verifier counts what it refuses against the peer that is being heard. */
  watch(membership: Membership): Membership {
    const { primitives } = membership;
    const verify: typeof primitives.verify = (publicKey, message, signature) => {
      const isValid = primitives.verify(publicKey, message, signature);
      if (!isValid && this.#speaker !== undefined)
        this.#allowance.take(this.#speaker.party, this.#speaker.nowMs);
      return isValid;
    };
    return { ...membership, primitives: { ...primitives, verify } };
  }

  /**
   * Deals with one message of a peer, unless it has brought too many invalid signatures: then the message costs nothing.
   * @param step synchronous; what it verifies with the watched membership counts
   * @returns undefined if the peer is not heard
   */
  hear<T>(party: PartyId, nowMs: number, step: () => T): T | undefined {
    if (!this.#allowance.has(party, nowMs)) return undefined;
    const before = this.#speaker;
    this.#speaker = { party, nowMs };
    try {
      return step();
    } finally {
      this.#speaker = before;
    }
  }
}
