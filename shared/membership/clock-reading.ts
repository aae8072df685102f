import type { PartyId } from '../ids.ts';
import type { Membership } from '../protocol/machine.ts';
import { isSigned, signStatement } from '../protocol/statement.ts';
import { type Codec, fixedBytes, signature64, struct, u64 } from '../wire/codec.ts';

/** What a member's clock showed when another one asked. */
export interface ClockReading {
  /** Of the one who asked; 32 bytes. */
  readonly nonce: Uint8Array;
  /** Unix, enclave time, whole milliseconds. */
  readonly timeMs: bigint;
  /** By the member that read its clock. */
  readonly signature: Uint8Array;
}

export const CLOCK_NONCE_BYTES = 32;
const DOMAIN = 'clock-reading';

export const clockReadingCodec: Codec<ClockReading> = struct({
  nonce: fixedBytes(CLOCK_NONCE_BYTES),
  timeMs: u64,
  signature: signature64,
});

/** @param to who asked */
export function signClockReading(
  by: Membership,
  to: PartyId,
  nonce: Uint8Array,
  timeMs: number,
): ClockReading {
  const whole = Math.floor(timeMs);
  const signature = signStatement(by, DOMAIN, ...fields(by, to, nonce, whole));
  return { nonce, timeMs: BigInt(whole), signature };
}

/** True iff `from` read its clock for this member, which asked with that nonce. */
export function isClockReading(among: Membership, from: PartyId, reading: ClockReading): boolean {
  const timeMs = Number(reading.timeMs);
  if (!Number.isSafeInteger(timeMs)) return false;
  return isSigned(
    among,
    from,
    reading.signature,
    DOMAIN,
    ...fields(among, among.self, reading.nonce, timeMs),
  );
}

function fields(among: Membership, to: PartyId, nonce: Uint8Array, timeMs: number) {
  return [among.networkId, to, nonce, timeMs] as const;
}
