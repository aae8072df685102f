import type { Committee } from '../committee.ts';
import type { Digest, EpochId, PartyId } from '../ids.ts';
import type { Primitives, Rng, Signer } from '../primitives.ts';

/**
 * What a protocol asks of its driver. Effects are carried out in order, and an effect is complete before the next one
 * starts: a `send` behind a `persist` leaves only when the record is durable ("durable before spoken", protocols.md
 * section 1).
 */
export type Effect =
  | { readonly kind: 'send'; readonly to: PartyId; readonly message: Uint8Array }
  | { readonly kind: 'persist'; readonly name: string; readonly record: Uint8Array }
  | { readonly kind: 'erase'; readonly name: string };

/**
 * A sans-IO protocol. Time, randomness and delivery are arguments; `from` is the authenticated sender, never a field of
 * the message. A machine never throws for what a peer sent: bad messages are dropped (and counted by its driver).
 */
export interface Machine {
  start(nowMs: number): readonly Effect[];
  receive(from: PartyId, message: Uint8Array, nowMs: number): readonly Effect[];
  /** Time has passed. Call it at least whenever nextWakeMs has come. */
  tick(nowMs: number): readonly Effect[];
  /** When tick wants to be called next; undefined: no deadline. */
  readonly nextWakeMs: number | undefined;
}

/** Who this party is and who the others are: fixed for an epoch. */
export interface Membership {
  readonly networkId: Digest;
  /**
   * Digest of the configuration with which the epoch began, which fixes committee and identities. Later configurations
   * of the epoch move addresses and measurements only: what was signed under this one stays valid.
   */
  readonly configuration: Digest;
  readonly epoch: EpochId;
  readonly committee: Committee;
  readonly self: PartyId;
  /** Identity public keys (Ed25519) by party. */
  readonly identities: ReadonlyMap<PartyId, Uint8Array>;
  readonly signer: Signer;
  readonly primitives: Primitives;
}

/** A membership as somebody sees it whose identity is still sealed. */
export type Roll = Omit<Membership, 'signer'>;

export type { Rng };

export function peersOf(membership: Pick<Membership, 'committee' | 'self'>): readonly PartyId[] {
  return membership.committee.parties.filter((party) => party !== membership.self);
}

/** One `send` per other party. */
export function sendToAll(membership: Membership, message: Uint8Array): Effect[] {
  return peersOf(membership).map((to) => ({ kind: 'send', to, message }));
}
