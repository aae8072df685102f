import { randomBytes } from 'node:crypto';
import { committee } from '../../shared/committee.ts';
import { presetByName, primesAt } from '../../shared/fhe/presets.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { WideSum } from '../../shared/math/prss-sum.ts';
import { type Residues, Ring } from '../../shared/math/ring.ts';
import { RobustDecoder } from '../../shared/math/robust-decoder.ts';
import { PrssWeights } from '../../shared/math/shamir.ts';
import { type Job, timed } from './job.ts';
import type { Workbench } from './workbench.ts';

/** N = 8192 over the two 54-bit primes of bfv-8192's decryption level. */
export function decryptionRing(kernel: Kernel): Ring {
  const preset = presetByName('bfv-8192');
  return new Ring(kernel, preset.degree, primesAt(preset, preset.decryptionLevel));
}

const random = (ring: Ring): Residues => ring.uniform(randomBytes(24 * ring.length));

export function mathJobs({ kernel }: Workbench): readonly Job[] {
  const ring = decryptionRing(kernel);
  return [ntt(ring), innerProduct(ring), wideSum(ring), decode(ring, 4, 1, 0), ...decodeWide(ring)];
}

function ntt(ring: Ring): Job {
  const about = 'forward NTT, one 54-bit prime, copies in and out included';
  return timed({ name: 'ntt-8192', unit: 'us', about, target: 170 }, { runs: 60, calls: 50 }, () => {
    const one = ring.take(1);
    const a = random(one);
    return () => one.ntt(a);
  });
}

function innerProduct(ring: Ring): Job {
  const about = 'constant coefficient of a product, one prime';
  return timed({ name: 'inner-product-8192', unit: 'us', about }, { runs: 40, calls: 400 }, () => {
    const one = ring.take(1);
    const [c, s] = [random(one), random(one)];
    return () => one.constantCoefficient(c, s);
  });
}

function wideSum(ring: Ring): Job {
  const about = 'sum of 495 streams of 78-bit integers, reduced modulo two primes';
  const figure = { name: 'flood-sum-13-4', unit: 'ms', about } as const;
  return timed(figure, { runs: 30 }, () => {
    const of = committee(13, 4);
    const weights = new PrssWeights(of);
    const numerator = weights.numerator(of.parties.slice(0, 4), of.parties[12]!);
    const streams = Array.from({ length: 16 }, () => randomBytes(12 * ring.degree));
    return () => {
      using sum = new WideSum(ring.kernel, { count: ring.degree, limbs: 3, bits: 78 });
      for (let i = 0; i < 495; i++) sum.add(streams[i % 16]!, numerator);
      sum.finish(ring, weights.denominator, 1n << 77n);
    };
  });
}

function decodeWide(ring: Ring): readonly Job[] {
  return [decode(ring, 13, 4, 0, 3), decode(ring, 13, 4, 4, 6)];
}

/** Robust decoding of a vector over two primes from all shares, `liars` of them wrong in one residue each. */
function decode(ring: Ring, n: number, t: number, liars: number, target?: number): Job {
  const figure = {
    name: `decode-vector-${n}-${t}${liars > 0 ? '-liars' : ''}`,
    unit: 'ms',
    about: `robust decoding of ${n} shares, ${liars} of them wrong`,
    ...(target !== undefined && { target }),
  } as const;
  return timed(figure, { runs: 60, calls: 5 }, () => {
    const shares = sharesOf(ring, n, t);
    for (const id of [...shares.keys()].slice(0, liars)) shares.get(id)![id * 1000]! ^= 1n;
    const decoder = new RobustDecoder(ring, committee(n, t), randomBytes);
    return () => {
      const opened = decoder.tryDecode(shares);
      if (opened?.wrong.length !== liars) throw new Error('the decoder failed');
    };
  });
}

function sharesOf(ring: Ring, n: number, t: number): Map<PartyId, Residues> {
  const of = committee(n, t);
  const coefficients = Array.from({ length: t + 1 }, () => random(ring));
  const at = (x: number): Residues => {
    const factors = ring.primes.map(() => BigInt(x));
    return coefficients.reduceRight((value, next) => ring.add(ring.scale(value, factors), next), ring.zero());
  };
  return new Map(of.parties.map((id) => [id, at(id)]));
}
