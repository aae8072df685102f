import { describe, expect, test } from 'vitest';
import { partyId } from '../../../shared/ids.ts';
import {
  CHUNK_BYTES,
  type Chunk,
  chunkAt,
  RecordDownload,
} from '../../../shared/protocol/keygen/download.ts';

const record = Uint8Array.from({ length: 2 * CHUNK_BYTES + 5 }, (_, i) => (i * 7) & 255);
const begun = (size = record.length): RecordDownload => new RecordDownload(partyId(2), size);

describe('download', () => {
  test.each([1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, record.length])(
    'download: a record of %i bytes arrives piece by piece',
    (size) => {
      const whole = record.subarray(0, size);
      const download = begun(size);
      for (let pieces = 0; download.complete === undefined; pieces++) {
        expect(pieces).toBeLessThan(3);
        expect(download.add(chunkAt(whole, download.offset))).toBe(true);
      }
      expect(Buffer.compare(download.complete!, whole)).toBe(0);
    },
  );

  const total = record.length;

  test.each<[string, Chunk]>([
    ['an empty piece', { offset: 0, total, bytes: new Uint8Array(0) }],
    ['an empty record', { offset: 0, total: 0, bytes: new Uint8Array(0) }],
    ['a single byte', { offset: 0, total, bytes: new Uint8Array(1) }],
    ['a short piece', { offset: 0, total, bytes: new Uint8Array(CHUNK_BYTES - 1) }],
    ['more than a piece', { offset: 0, total, bytes: new Uint8Array(CHUNK_BYTES + 1) }],
    ['another place', { offset: 1, total, bytes: new Uint8Array(CHUNK_BYTES) }],
    ['a shorter record', { offset: 0, total: total - 1, bytes: new Uint8Array(CHUNK_BYTES) }],
    ['a longer record', { offset: 0, total: total + 1, bytes: new Uint8Array(CHUNK_BYTES) }],
  ])('download: %s is refused and changes nothing', (_, chunk) => {
    const download = begun();
    expect(download.add(chunk)).toBe(false);
    expect(download.offset).toBe(0);
    expect(download.add(chunkAt(record, 0))).toBe(true);
  });

  test('download: a piece is taken once', () => {
    const download = begun();
    expect(download.add(chunkAt(record, 0))).toBe(true);
    expect(download.add(chunkAt(record, 0))).toBe(false);
    expect(download.add(chunkAt(record, 2 * CHUNK_BYTES))).toBe(false);
    expect(download.offset).toBe(CHUNK_BYTES);
  });

  test('download: a piece beyond the record that is served is empty, and so refused', () => {
    const served = chunkAt(record.subarray(0, 10), 4_000_000_000);
    expect(served.bytes).toHaveLength(0);
    expect(begun().add(served)).toBe(false);
  });
});
