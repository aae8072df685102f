import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isTurn, rankOf } from '../../../../parent/connector/rotation.ts';

const silence = { blocks: 3n, seconds: 5n };

describe('rotation', () => {
  test('rotation: each request has one party of each rank, and runs of sixteen go round', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 70n), fc.integer({ min: 4, max: 64 }), (id, n) => {
        const ranks = Array.from({ length: n }, (_, i) => rankOf(id, i + 1, n));
        expect([...ranks].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        const first = ranks.indexOf(0) + 1;
        const begin = id - (id % 16n);
        for (const [of, expected] of [
          [begin, first],
          [begin + 15n, first],
          [begin + 16n, (first % n) + 1],
        ] as const) {
          expect(rankOf(of, expected, n)).toBe(0);
        }
        expect(rankOf(16n * BigInt(n) * id, 1, n)).toBe(0);
        // In a circle: who comes after the last is the first.
        expect(rankOf(id, (first % n) + 1, n)).toBe(1);
      }),
    );
  });

  test.each([
    [0, 0n, 0n, true],
    [1, 3n, 5n, true],
    [1, 2n, 99n, false],
    [1, 99n, 4n, false],
    [2, 6n, 10n, true],
    [2, 5n, 10n, false],
    [2, 6n, 9n, false],
  ])('rotation: rank %i after %i blocks and %i seconds: %s', (rank, blocks, seconds, expected) => {
    const since = { number: 100n, timestamp: 1_000n };
    const now = { number: 100n + blocks, timestamp: 1_000n + seconds };
    expect(isTurn(rank, since, now, silence)).toBe(expected);
  });
});
