import { createCipheriv, createHash } from 'node:crypto';
import type { KeyMaterial, KeyPair, SwitchingKey } from '../../shared/fhe/key-material.ts';
import { keyPrimes, type Preset } from '../../shared/fhe/presets.ts';
import { HEADER_BYTES, writeHeader, writeU64 } from '../../shared/fhe/seal/header.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { type Residues, Ring } from '../../shared/math/ring.ts';
import type { Rng } from '../../shared/primitives.ts';
import { bytesOf, fromHex } from '../../shared/wire/bytes.ts';
import { Writer } from '../../shared/wire/codec.ts';

/** A key of the distributions that a committee makes, with its secret: for measuring noise, never for use. */
export interface WideKeys {
  readonly material: KeyMaterial;
  /** Over the key primes. */
  readonly ring: Ring;
  /** Coefficients: sums of `seeds` ternaries. */
  readonly secret: Int32Array;
  /** The public key's error: sums of `seeds` centred binomials of parameter 21. */
  readonly error: Int32Array;
  /** NTT form over the key primes. */
  readonly secretNtt: Residues;
}

/**
 * Keys with the formulas of protocols.md section 4, secrets and errors being sums over `seeds` PRSS terms.
 * @param seeds C(n,t) of the committee imitated
 */
export function wideKeys(
  kernel: Kernel,
  preset: Preset,
  seeds: number,
  rng: Rng,
  elements: readonly number[] = [],
): WideKeys {
  const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
  const secret = ternarySums(preset.degree, seeds, rng);
  const error = binomialSums(preset.degree, seeds, rng);
  const ntt = (values: Int32Array): Residues => {
    const residues = ring.fromSigned(values);
    ring.ntt(residues);
    return residues;
  };
  const s = ntt(secret);
  const freshError = (): Residues => ntt(binomialSums(preset.degree, seeds, rng));
  const uniform = (): Residues => ring.uniform(rng(24 * ring.length));
  const gadget = (x: Residues, digit: number): Residues =>
    ring.scale(
      x,
      ring.primes.map((_, j) => (j === digit ? preset.specialPrime : 0n)),
    );

  const encryptUnderS = (term: Residues, e: Residues): KeyPair => {
    const a = uniform();
    return { a, b: ring.add(ring.neg(ring.add(ring.mul(a, s), e)), term) };
  };
  const u = ntt(ternarySums(preset.degree, seeds, rng));
  const relinDigit = (digit: number): KeyPair => {
    const a = uniform();
    const h0 = ring.add(ring.add(ring.neg(ring.mul(u, a)), gadget(s, digit)), freshError());
    const h1 = ring.add(ring.mul(a, s), freshError());
    return { b: ring.add(ring.add(ring.mul(h0, s), ring.mul(h1, ring.sub(u, s))), freshError()), a: h1 };
  };
  const digits = preset.dataPrimes.map((_, digit) => digit);
  const galois = new Map<number, SwitchingKey>();
  for (const g of elements) {
    const rotated = ring.automorphism(s, g);
    galois.set(
      g,
      digits.map((digit) => encryptUnderS(gadget(rotated, digit), freshError())),
    );
  }
  const publicKey = encryptUnderS(ring.zero(), ntt(error));
  const material = { preset, publicKey, relin: digits.map(relinDigit), galois };
  return { material, ring, secret, error, secretNtt: s };
}

/** SEAL's bytes of a secret key, so that SEAL can serve as decryption oracle. */
export function secretKeyBytes(preset: Preset, secretNtt: Residues): Uint8Array {
  const out = new Writer();
  const nestedBytes = HEADER_BYTES + 8 + 8 * secretNtt.length;
  writeHeader(out, HEADER_BYTES + 32 + 8 + 8 + nestedBytes);
  out.raw(fromHex(preset.keyParmsId));
  writeU64(out, secretNtt.length);
  out.raw(bytesOf(Float64Array.of(1)));
  writeHeader(out, nestedBytes);
  writeU64(out, secretNtt.length);
  out.raw(bytesOf(secretNtt));
  return out.finish();
}

/** Reproducible bytes: the AES-128-CTR keystream of a text. */
export function seededRng(seed: string): Rng {
  const cipher = createCipheriv(
    'aes-128-ctr',
    createHash('sha256').update(seed).digest().subarray(0, 16),
    Buffer.alloc(16),
  );
  return (sizeBytes) => Uint8Array.from(cipher.update(new Uint8Array(sizeBytes)));
}

/** N sums of `seeds` uniform ternary values. A byte below 243 holds five of them in base 3. */
function ternarySums(count: number, seeds: number, rng: Rng): Int32Array {
  const sums = new Int32Array(count);
  const next = byteSource(rng);
  for (let i = 0; i < count; i++) {
    for (let left = seeds; left > 0; left -= 5) {
      let byte = next();
      while (byte >= 243) byte = next();
      for (let digit = 0; digit < Math.min(5, left); digit++) {
        sums[i]! += (byte % 3) - 1;
        byte = Math.floor(byte / 3);
      }
    }
  }
  return sums;
}

/** N sums of `seeds` centred binomials of parameter 21: the weight of 42*seeds bits, less its mean. */
function binomialSums(count: number, seeds: number, rng: Rng): Int32Array {
  const bits = 42 * seeds;
  const words = Math.ceil(bits / 32);
  const lastMask = bits % 32 === 0 ? 0xffffffff : 2 ** (bits % 32) - 1;
  const sums = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const stream = new Uint32Array(rng(4 * words).buffer);
    let weight = 0;
    for (let w = 0; w < words; w++) weight += popcount(w === words - 1 ? stream[w]! & lastMask : stream[w]!);
    sums[i] = weight - bits / 2;
  }
  return sums;
}

function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function byteSource(rng: Rng): () => number {
  let block = rng(65_536);
  let at = 0;
  return () => {
    if (at === block.length) {
      block = rng(65_536);
      at = 0;
    }
    return block[at++]!;
  };
}
