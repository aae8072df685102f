import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { committee } from '../../../shared/committee.ts';
import { codeOf } from '../../../shared/errors.ts';
import type { PartyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { RobustDecoder } from '../../../shared/math/robust-decoder.ts';
import { nttPrimes } from '../../oracle/primes.ts';
import { share } from '../../oracle/shamir.ts';

const kernel = await Kernel.load();
const ring = new Ring(kernel, 16, [...nttPrimes(54, 16, 1), ...nttPrimes(36, 16, 1)]);
const k = ring.primes.length;

type Shares = Map<PartyId, BigUint64Array>;

/** Adds a non-zero offset to one residue. */
function corrupt(shares: Shares, id: PartyId, place: number, offset = 1n): void {
  const copy = shares.get(id)!.slice();
  const q = ring.primes[Math.floor(place / (copy.length / k))]!;
  copy[place] = (copy[place]! + 1n + (offset % (q - 1n))) % q;
  shares.set(id, copy);
}
function subsets<T>(items: readonly T[]): T[][] {
  return Array.from({ length: 1 << items.length }, (_, mask) => items.filter((_, i) => (mask >> i) & 1));
}
const only = (shares: Shares, ids: readonly PartyId[]): Shares =>
  new Map(ids.map((id) => [id, shares.get(id)!]));

describe.each([
  { count: 1, name: 'scalar' },
  { count: 16, name: 'ring element' },
  { count: 600, name: 'long vector' },
])('(4,1), $name', ({ count }) => {
  const of = committee(4, 1);
  const decoder = new RobustDecoder(ring, of, randomBytes);
  const { shares, secret, at } = share(`four ${count}`, of.parties, of.t, ring.primes, count);
  const places = count === 1 ? [0, 1] : [0, 1, count - 1, count, 2 * count - 1];

  test('tryDecode: every subset with every pattern of at most one error', () => {
    for (const ids of subsets(of.parties)) {
      for (const liar of [undefined, ...ids]) {
        for (const place of places) {
          const received = only(shares, ids);
          if (liar !== undefined) corrupt(received, liar, place, BigInt(place) * 77n);
          const opened = decoder.tryDecode(received);
          const right = ids.filter((id) => id !== liar);
          if (right.length < of.decodingQuorum) {
            expect(opened).toBeUndefined();
          } else {
            expect(opened).toEqual({
              value: secret,
              agreeing: right,
              wrong: liar === undefined ? [] : [liar],
            });
          }
        }
      }
    }
  });

  test('tryDecode: gives the value at any x', () => {
    for (const x of [1, 3, 7, 1000]) expect(decoder.tryDecode(shares, x)?.value).toEqual(at(x));
  });

  test('tryDecode: two errors never give a value', () => {
    for (const place of places) {
      const received = new Map(shares);
      corrupt(received, of.parties[0]!, place, 5n);
      corrupt(received, of.parties[3]!, places[0]!, 9n);
      expect(decoder.tryDecode(received)).toBeUndefined();
    }
  });
});

describe.each([1, 16, 300])('(13,4), %i residues per prime', (count) => {
  const of = committee(13, 4);
  const decoder = new RobustDecoder(ring, of, randomBytes);
  const { shares, secret } = share(`thirteen ${count}`, of.parties, of.t, ring.primes, count);
  const liars = fc.uniqueArray(fc.constantFrom(...of.parties), { maxLength: 4 });
  const lies = fc.array(fc.tuple(fc.nat({ max: k * count - 1 }), fc.bigInt({ min: 0n, max: 1n << 60n })), {
    minLength: 1,
    maxLength: 6,
  });

  test('tryDecode: up to four liars, wrong in any residues, are named and change nothing', () => {
    fc.assert(
      fc.property(liars, fc.array(lies, { minLength: 4, maxLength: 4 }), fc.nat(), (bad, all, seed) => {
        const received = new Map(shares);
        // Each place once, so that lies cannot cancel.
        bad.forEach((id, i) => {
          const places = new Map(all[i]!);
          for (const [place, offset] of places) corrupt(received, id, place, offset);
        });
        const silent = of.parties.filter((id) => !bad.includes(id)).slice(0, seed % (5 - bad.length));
        for (const id of silent) received.delete(id);
        expect(decoder.tryDecode(received)).toEqual({
          value: secret,
          agreeing: of.parties.filter((id) => !bad.includes(id) && !silent.includes(id)),
          wrong: [...bad].sort((a, b) => a - b),
        });
      }),
      { numRuns: 60 },
    );
  });

  test('tryDecode: fewer than 2t+1 right shares never give a value', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...of.parties], { minLength: 5 }),
        fc.nat({ max: k * count - 1 }),
        fc.bigInt({ min: 1n, max: 1n << 35n }),
        (bad, place, offset) => {
          const received = new Map(shares);
          bad.forEach((id, i) => {
            corrupt(received, id, place, offset + BigInt(i) ** 5n * 1_000_003n);
          });
          expect(decoder.tryDecode(received)).toBeUndefined();
        },
      ),
      { numRuns: 40 },
    );
  });

  test('tryDecode: liars that agree on another polynomial are still a minority', () => {
    const other = share(`other ${count}`, of.parties, of.t, ring.primes, count);
    const received = new Map(shares);
    for (const id of of.parties.slice(3, 7)) received.set(id, other.shares.get(id)!);
    expect(decoder.tryDecode(received)).toEqual({
      value: secret,
      agreeing: of.parties.filter((id) => id < 4 || id > 7),
      wrong: of.parties.slice(3, 7),
    });
    for (const id of of.parties.slice(7, 9)) received.set(id, other.shares.get(id)!);
    expect(decoder.tryDecode(received)).toBeUndefined();
  });

  test('tryDecode: malformed shares are wrong shares', () => {
    const received = new Map(shares);
    const [a, b, c, d] = of.parties;
    received.set(a!, new BigUint64Array(0));
    received.set(b!, new BigUint64Array(k * count + 1));
    received.set(
      c!,
      shares.get(c!)!.map((x, i) => (i === 0 ? x + ring.primes[0]! : x)),
    );
    received.set(d!, new BigUint64Array(k * count).fill((1n << 64n) - 1n));
    expect(decoder.tryDecode(received)).toEqual({
      value: secret,
      agreeing: of.parties.slice(4),
      wrong: [a, b, c, d],
    });
    received.set(of.parties[4]!, new BigUint64Array(0));
    expect(decoder.tryDecode(received)).toBeUndefined();
  });
});

describe('robust decoder', () => {
  const of = committee(13, 4);
  const count = 300;
  const { shares, secret } = share('weights', of.parties, of.t, ring.primes, count);

  test('tryDecode: draws fresh weights in every call and every pass, for every combination and prime', () => {
    const drawn: string[] = [];
    const decoder = new RobustDecoder(ring, of, (sizeBytes) => {
      const bytes = randomBytes(sizeBytes);
      drawn.push(bytes.toString('hex'));
      return bytes;
    });
    decoder.tryDecode(shares);
    expect(drawn.length).toBe(2 * k);
    const received = new Map(shares);
    corrupt(received, of.parties[1]!, 5);
    expect(decoder.tryDecode(received)?.value).toEqual(secret);
    expect(new Set(drawn).size).toBe(drawn.length);
    expect(drawn.length).toBeGreaterThanOrEqual(2 * k + 2 * k + 1);
    expect(drawn.every((hex) => hex.length === 2 * 8 * count)).toBe(true);
  });

  test('tryDecode: secret weights see a lie that is orthogonal to predictable ones', () => {
    // With constant weights, +1 and -1 cancel: the check's strength is its randomness.
    const received = new Map(shares);
    const share1 = shares.get(of.parties[0]!)!.slice();
    const q = ring.primes[0]!;
    share1[0] = (share1[0]! + 1n) % q;
    share1[1] = (share1[1]! + q - 1n) % q;
    received.set(of.parties[0]!, share1);
    const predictable = new RobustDecoder(ring, of, (sizeBytes) => new Uint8Array(sizeBytes).fill(1));
    expect(predictable.tryDecode(received)?.wrong).toEqual([]);
    expect(new RobustDecoder(ring, of, randomBytes).tryDecode(received)?.wrong).toEqual([of.parties[0]]);
  });

  test('tryDecode: asks its generator for at most 65536 bytes at once', () => {
    const large = share('large', of.parties, of.t, ring.primes, 8200);
    const sizes: number[] = [];
    const decoder = new RobustDecoder(ring, of, (sizeBytes) => {
      sizes.push(sizeBytes);
      return randomBytes(sizeBytes);
    });
    expect(decoder.tryDecode(large.shares)?.value).toEqual(large.secret);
    expect(Math.max(...sizes)).toBe(65_536);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2 * k * 8 * 8200);
  });

  test('tryDecode: leaves neither shares nor values in kernel memory', () => {
    const decoder = new RobustDecoder(ring, of, randomBytes);
    decoder.tryDecode(shares);
    const memory = Buffer.from(kernel.bytes.buffer);
    for (const vector of [secret, ...shares.values()]) {
      expect(memory.includes(Buffer.from(vector.buffer, 8 * 10, 8))).toBe(false);
    }
  });

  test('tryDecode: no shares, or too few, wait', () => {
    const decoder = new RobustDecoder(ring, of, randomBytes);
    expect(decoder.tryDecode(new Map())).toBeUndefined();
    expect(decoder.tryDecode(only(shares, of.parties.slice(0, 8)))).toBeUndefined();
    expect(decoder.tryDecode(only(shares, of.parties.slice(4)))?.value).toEqual(secret);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 33])('bad input: x-coordinate %d', (x) => {
    expect(codeFrom(() => new RobustDecoder(ring, of, randomBytes).tryDecode(shares, x))).toBe('BAD_INPUT');
  });

  test('bad input: a party outside the committee', () => {
    const four = new RobustDecoder(ring, committee(4, 1), randomBytes);
    expect(codeFrom(() => four.tryDecode(shares))).toBe('BAD_INPUT');
  });
});

function codeFrom(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return codeOf(error);
  }
  return 'no error';
}
