import type { Preset } from '../../shared/fhe/presets.ts';
import type { SealCiphertext } from '../../shared/fhe/seal/ciphertext.ts';
import { inverse, mod } from '../../shared/math/modular.ts';
import type { Residues, Ring } from '../../shared/math/ring.ts';
import type { WideKeys } from './wide-keys.ts';

/**
 * N integers in (-Q/2, Q/2] from coefficient form over the ring's primes, by the Chinese remainder theorem.
 */
export function centredIntegers(ring: Ring, a: Residues): bigint[] {
  const q = ring.primes.reduce((product, prime) => product * prime, 1n);
  const weights = ring.primes.map((prime) => (q / prime) * inverse(q / prime, prime));
  return Array.from({ length: ring.degree }, (_, i) => {
    const x = mod(
      weights.reduce((sum, weight, j) => sum + weight * a[j * ring.degree + i]!, 0n),
      q,
    );
    return 2n * x > q ? x - q : x;
  });
}

/** c0 + c1*s modulo the level's Q: coefficient form. */
export function phase(keys: WideKeys, { level, c0, c1 }: SealCiphertext): Residues {
  const ring = keys.ring.take(level);
  const product = c1.slice();
  ring.ntt(product);
  const scaled = ring.mul(product, keys.secretNtt.slice(0, ring.length));
  ring.intt(scaled);
  return ring.add(c0, scaled);
}

export interface Measured {
  /** Largest |v| of any coefficient, v = phase - round(Q*m/p) mod Q. */
  readonly noise: bigint;
  /** m, the nearest plaintext: N coefficients below p. */
  readonly message: BigUint64Array;
}

/** Exact noise of a ciphertext, by bigints and the secret key. */
export function measure(keys: WideKeys, ciphertext: SealCiphertext): Measured {
  const { preset } = keys.material;
  const ring = keys.ring.take(ciphertext.level);
  const q = ring.primes.reduce((product, prime) => product * prime, 1n);
  const p = preset.plainModulus;
  const message = new BigUint64Array(preset.degree);
  let noise = 0n;
  centredIntegers(ring, phase(keys, ciphertext)).forEach((centred, i) => {
    const x = mod(centred, q);
    const m = mod((2n * x * p + q) / (2n * q), p);
    message[i] = m;
    const v = mod(x - (2n * q * m + p) / (2n * p), q);
    noise = larger(noise, 2n * v > q ? q - v : v);
  });
  return { noise, message };
}

/**
 * An encryption at the first data level by a user who knows s and e, with the largest randomness a proof
 * admits (u ternary, |e0|, |e1| <= 21) and all signs chosen to maximise coefficient 0 of goal * v, v = e0 +
 * e1*s - u*e.
 * @param goal N integers; a single 1 maximises the noise itself, T = (p/Q)(c0 + c1*s) of another ciphertext
 * the noise of their product
 * @param mask u, N ternary values, when it must be that of another encryption: T depends on u and hardly on
 * the errors
 */
export function hostileEncryption(
  keys: WideKeys,
  message: BigUint64Array,
  goal: BigInt64Array,
  mask?: Int32Array,
): SealCiphertext {
  const { preset, publicKey } = keys.material;
  const ring = keys.ring.take(preset.levels);
  const ntt = (a: Residues): Residues => {
    ring.ntt(a);
    return a;
  };
  const timesGoal = (integers: Int32Array): bigint[] => {
    const product = ring.mul(ntt(ring.fromSigned(goal)), ntt(ring.fromSigned(integers)));
    ring.intt(product);
    return centredIntegers(ring, product);
  };
  const e0 = aligned(Array.from(goal), 21);
  const e1 = aligned(timesGoal(keys.secret), 21);
  const u = ntt(ring.fromSigned(mask ?? aligned(timesGoal(keys.error), -1)));

  const half = (a: Residues, e: Int32Array): Residues => {
    const masked = ring.mul(a.slice(0, ring.length), u);
    ring.intt(masked);
    return ring.add(masked, ring.fromSigned(e));
  };
  const scaledMessage = scaledUp(preset, ring, message);
  return {
    level: preset.levels,
    c0: ring.add(half(publicKey.b, e0), scaledMessage),
    c1: half(publicKey.a, e1),
  };
}

/**
 * T = round((p/Q)(c0 + c1*s)) with c0, c1 centred: what a product multiplies the other operand's noise by.
 */
export function productFactor(keys: WideKeys, ciphertext: SealCiphertext): BigInt64Array {
  const { preset } = keys.material;
  const ring = keys.ring.take(ciphertext.level);
  const q = ring.primes.reduce((product, prime) => product * prime, 1n);
  // The integer product needs more modulus than Q; scaling c by p/Q first is precise enough to choose signs.
  const scaled = (a: Residues): BigInt64Array =>
    BigInt64Array.from(centredIntegers(ring, a), (x) => (x * preset.plainModulus) / q);
  const product = ring.fromSigned(scaled(ciphertext.c1));
  ring.ntt(product);
  const wide = ring.mul(product, keys.secretNtt.slice(0, ring.length));
  ring.intt(wide);
  return BigInt64Array.from(centredIntegers(ring, ring.add(wide, ring.fromSigned(scaled(ciphertext.c0)))));
}

/** The goal that maximises the noise in coefficient 0. */
export function noiseItself(preset: Preset): BigInt64Array {
  const goal = new BigInt64Array(preset.degree);
  goal[0] = 1n;
  return goal;
}

/** y with |y_i| = size that maximises (x*y)_0 = x_0*y_0 - sum x_(N-i)*y_i modulo X^N + 1. */
function aligned(x: readonly bigint[], size: number): Int32Array {
  const n = x.length;
  return Int32Array.from({ length: n }, (_, i) => {
    const positive = i === 0 ? x[0]! >= 0n : x[n - i]! < 0n;
    return positive ? size : -size;
  });
}

function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

/** round(Q*m/p) per coefficient. */
function scaledUp(preset: Preset, ring: Ring, message: BigUint64Array): Residues {
  const q = ring.primes.reduce((product, prime) => product * prime, 1n);
  const p = preset.plainModulus;
  const result = ring.zero();
  message.forEach((m, i) => {
    const x = (2n * q * m + p) / (2n * p);
    ring.primes.forEach((prime, j) => {
      result[j * ring.degree + i] = x % prime;
    });
  });
  return result;
}
