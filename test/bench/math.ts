import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { committee } from '../../shared/committee.ts';
import type { PartyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { isPrime } from '../../shared/math/modular.ts';
import { WideSum } from '../../shared/math/prss-sum.ts';
import { type Residues, Ring } from '../../shared/math/ring.ts';
import { RobustDecoder } from '../../shared/math/robust-decoder.ts';
import { PrssWeights } from '../../shared/math/shamir.ts';

/** One figure of out/bench.json: the median of `runs` warm runs. */
export interface Measurement {
  readonly name: string;
  readonly unit: 'us' | 'ms';
  readonly median: number;
  readonly runs: number;
}

const DEGREE = 8192;
const WARM_UP = 20;

export async function benchRing(): Promise<Ring> {
  const primes: bigint[] = [];
  for (let q = (1n << 54n) - BigInt(2 * DEGREE) + 1n; primes.length < 2; q -= BigInt(2 * DEGREE)) {
    if (isPrime(q)) primes.push(q);
  }
  return new Ring(await Kernel.load(), DEGREE, primes);
}

function measure(name: string, unit: 'us' | 'ms', runs: number, job: () => void): Measurement {
  for (let i = 0; i < WARM_UP; i++) job();
  const times = Array.from({ length: runs }, () => {
    const start = performance.now();
    job();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const median = times[runs >> 1]! * (unit === 'us' ? 1000 : 1);
  return { name, unit, median: Math.round(median * 1000) / 1000, runs };
}

const random = (ring: Ring): Residues => ring.uniform(randomBytes(24 * ring.length));

/** Forward transform of one 54-bit prime, copies in and out included. */
export function benchNtt(ring: Ring): Measurement {
  const one = ring.take(1);
  const a = random(one);
  return measure('ntt-8192', 'us', 400, () => one.ntt(a));
}

/** Constant coefficient of a product, one prime. */
export function benchInnerProduct(ring: Ring): Measurement {
  const one = ring.take(1);
  const [c, s] = [random(one), random(one)];
  return measure('inner-product-8192', 'us', 400, () => one.constantCoefficient(c, s));
}

/**
 * The flood of one vector request at (13,4): 495 streams of 78-bit integers, and the residues modulo two
 * primes.
 */
export function benchWideSum(ring: Ring): Measurement {
  const of = committee(13, 4);
  const weights = new PrssWeights(of);
  const numerator = weights.numerator(of.parties.slice(0, 4), of.parties[12]!);
  const streams = Array.from({ length: 16 }, () => randomBytes(12 * DEGREE));
  return measure('wide-sum-495', 'ms', 20, () => {
    const sum = new WideSum(ring.kernel, { count: DEGREE, limbs: 3, bits: 78 });
    for (let i = 0; i < 495; i++) sum.add(streams[i % 16]!, numerator);
    sum.finish(ring, weights.denominator, 1n << 77n);
  });
}

/** Robust decoding of a vector over two primes at (13,4) with `liars` shares wrong in one residue each. */
export function benchDecode(ring: Ring, liars: 0 | 4): Measurement {
  const of = committee(13, 4);
  const coefficients = Array.from({ length: of.t + 1 }, () => random(ring));
  const shares = new Map<PartyId, Residues>();
  for (const id of of.parties) {
    const x = ring.primes.map(() => BigInt(id));
    shares.set(
      id,
      coefficients.reduceRight((value, next) => ring.add(ring.scale(value, x), next), ring.zero()),
    );
  }
  for (const id of of.parties.slice(0, liars)) shares.get(id)![id * 1000]! ^= 1n;
  const decoder = new RobustDecoder(ring, of, randomBytes);
  return measure(`decode-vector-13-4${liars > 0 ? '-liars' : ''}`, 'ms', 60, () => {
    const opened = decoder.tryDecode(shares);
    if (opened?.wrong.length !== liars) throw new Error('decoder failed');
  });
}

export async function benchMath(): Promise<Measurement[]> {
  const ring = await benchRing();
  return [
    benchNtt(ring),
    benchInnerProduct(ring),
    benchWideSum(ring),
    benchDecode(ring, 0),
    benchDecode(ring, 4),
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.table(await benchMath());
