import { setTimeout as sleep } from 'node:timers/promises';
import type { PartyId } from '../../shared/ids.ts';
import type { MembershipMessage } from '../../shared/membership/messages.ts';

export interface MessageLimits {
  /** Units that a member may use at once after a quiet time. */
  readonly burst: number;
  readonly perSecond: number;
}

/** A unit is a signature or two; members that behave need less than one a second. */
export const MESSAGE_LIMITS: MessageLimits = { burst: 256, perSecond: 32 };

/** An incarnation may be a durable write; a message that cannot be read at all leaves a line in the log. */
const DEAR = 16;
/** A member's state and its shares are durable writes too, a few for each key that is made. */
const WRITTEN = 4;
/** The signer of a secp256k1 signature is recovered in some milliseconds. */
const RECOVERED = 4;

export const MALFORMED_COST: number = DEAR;

export function costOf({ kind }: MembershipMessage): number {
  switch (kind) {
    case 'incarnation':
    case 'incarnation-refused':
      return DEAR;
    case 'state-announced':
    case 'half-dealt':
    case 'half-erasing':
      return WRITTEN;
    case 'enrolment-signed':
      return RECOVERED;
    default:
      return 1;
  }
}

/**
 * How much of this enclave a member gets by messages that anybody may send before and beside the protocols. Whoever is over
 * it is held back on its own stream: that costs a timer, loses nothing of a member that behaves, and nobody else waits.
 */
export class MessageBudget {
  readonly #limits: MessageLimits;
  readonly #monotonicMs: () => number;
  readonly #pause: (ms: number) => Promise<unknown>;
  /** When each member's budget will be full again. */
  readonly #fullAtMs = new Map<PartyId, number>();

  constructor(
    monotonicMs: () => number,
    limits: MessageLimits = MESSAGE_LIMITS,
    pause: (ms: number) => Promise<unknown> = (ms) => sleep(ms, undefined, { ref: false }),
  ) {
    this.#monotonicMs = monotonicMs;
    this.#limits = limits;
    this.#pause = pause;
  }

  /** Resolves when the member may be dealt with; its stream is to be read no further until then. */
  async take(from: PartyId, cost: number): Promise<void> {
    const { burst, perSecond } = this.#limits;
    const nowMs = this.#monotonicMs();
    const fullAtMs = Math.max(nowMs, this.#fullAtMs.get(from) ?? 0) + (cost / perSecond) * 1000;
    this.#fullAtMs.set(from, fullAtMs);
    const waitMs = fullAtMs - nowMs - (burst / perSecond) * 1000;
    if (waitMs > 0) await this.#pause(waitMs);
  }
}
