/** How long the party before may be silent until the next one posts: as long as both say. */
export interface Silence {
  readonly blocks: bigint;
  /** By the blocks' time: on a chain with many short blocks, a few of them are no time at all. */
  readonly seconds: bigint;
}

export const SILENCE: Silence = { blocks: 3n, seconds: 3n };

/** A moment on the gateway chain. */
export interface Moment {
  readonly number: bigint;
  /** Seconds. */
  readonly timestamp: bigint;
}

/** Requests that follow each other and have the same first party: asked for at about the same time, they are answered in one batch. */
const RUN = 16n;

/**
 * How many parties come before this one: for request id, party floor(id / 16) mod n + 1 is the first, and so on in a circle.
 * @param party 1..n
 */
export function rankOf(id: bigint, party: number, n: number): number {
  const first = Number((id / RUN) % BigInt(n));
  return (party - 1 - first + n) % n;
}

/**
 * Whether it is a party's turn to post. Everybody has the answer at about the same time, since nobody has it without the others'
 * signatures; so each counts from the moment at which it has it, and nobody tells anybody anything.
 */
export function isTurn(rank: number, since: Moment, now: Moment, silence: Silence = SILENCE): boolean {
  const times = BigInt(rank);
  return (
    now.number - since.number >= times * silence.blocks &&
    now.timestamp - since.timestamp >= times * silence.seconds
  );
}
