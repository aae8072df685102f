import { expect } from 'vitest';
import type { Recording } from '../../faults/hostile-parent.ts';

const RECORD_HEADER_BYTES = 5;
/** RFC 8446 section 5.2: 2^14 and what encryption may add. */
const MAX_RECORD_BYTES = 2 ** 14 + 256;
const [CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA] = [20, 21, 22, 23];
const [CLIENT_HELLO, SERVER_HELLO] = [1, 2];

/**
 * Everything the enclave sent was TLS 1.3, and all of it encrypted but one hello: no other handshake record is in the
 * clear, and an alert only before there were keys.
 */
export function expectOnlyTls(recordings: readonly Recording[]): void {
  for (const { fromEnclave } of recordings) expectRecords(Buffer.concat(fromEnclave));
}

/** None of these bytes was ever seen, in either direction. Every secret is looked for in pieces, wherever it begins. */
export function expectUnseen(recordings: readonly Recording[], secrets: readonly Uint8Array[]): void {
  expect(secrets.length).toBeGreaterThan(0);
  for (const { fromEnclave, fromOutside } of recordings) {
    for (const bytes of [Buffer.concat(fromEnclave), Buffer.concat(fromOutside)]) {
      for (const secret of secrets) {
        for (let at = 0; at + PIECE_BYTES <= secret.length; at += Math.max(PIECE_BYTES, secret.length >> 3)) {
          const piece = Buffer.from(secret.subarray(at, at + PIECE_BYTES));
          expect(bytes.includes(piece)).toBe(false);
        }
      }
    }
  }
}

const PIECE_BYTES = 12;

function expectRecords(stream: Buffer): void {
  let [hellos, encrypted] = [0, 0];
  for (let at = 0; at + RECORD_HEADER_BYTES < stream.length; ) {
    const [type, major, minor] = stream.subarray(at, at + 3);
    const size = stream.readUInt16BE(at + 3);
    expect([CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA]).toContain(type);
    expect([major, minor === 1 || minor === 3]).toEqual([3, true]);
    expect(size).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    const body = stream.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + size);
    if (type === HANDSHAKE) {
      expect([CLIENT_HELLO, SERVER_HELLO]).toContain(body[0]);
      hellos += 1;
    }
    if (type === ALERT) expect(encrypted).toBe(0);
    if (type === APPLICATION_DATA) encrypted += 1;
    at += RECORD_HEADER_BYTES + size;
  }
  // A second one answers HelloRetryRequest.
  expect(hellos).toBeLessThanOrEqual(2);
}
