import type { PartyId } from '../../ids.ts';
import type { SessionMessage } from './messages.ts';

/** Per peer: bytes and messages kept; what comes beyond is dropped. */
const MAX_BYTES = 64 << 20;
const MAX_MESSAGES = 4096;

interface Kept {
  readonly messages: SessionMessage[];
  sizeBytes: number;
}

/** Messages of sessions that this party has not joined yet: the proposal may come last. */
export class EarlyMessages {
  readonly #kept = new Map<PartyId, Kept>();

  keep(from: PartyId, message: SessionMessage, sizeBytes: number): void {
    const kept = this.#kept.get(from) ?? { messages: [], sizeBytes: 0 };
    this.#kept.set(from, kept);
    if (kept.messages.length >= MAX_MESSAGES || kept.sizeBytes + sizeBytes > MAX_BYTES) return;
    kept.messages.push(message);
    kept.sizeBytes += sizeBytes;
  }

  /** All of them, in order of arrival per peer; nothing is kept any more. */
  take(): readonly (readonly [PartyId, SessionMessage])[] {
    const all = [...this.#kept].flatMap(([from, { messages }]) =>
      messages.map((one) => [from, one] as const),
    );
    this.clear();
    return all;
  }

  clear(): void {
    this.#kept.clear();
  }
}
