import type { PartyId } from '../ids.ts';

/**
 * Limits what one peer can make this party do: `count` answers at once, refilled evenly over `perMs`.
 * @returns whether the peer's next question may be answered; counts it if so
 */
export function tokenBucket(count: number, perMs: number): (peer: PartyId, nowMs: number) => boolean {
  const buckets = new Map<PartyId, { left: number; sinceMs: number }>();
  return (peer, nowMs) => {
    const bucket = buckets.get(peer) ?? { left: count, sinceMs: nowMs };
    const refilled = bucket.left + (count * Math.max(0, nowMs - bucket.sinceMs)) / perMs;
    const left = Math.min(count, refilled);
    buckets.set(peer, { left: left >= 1 ? left - 1 : left, sinceMs: nowMs });
    return left >= 1;
  };
}
