import { createCipheriv, createHash, hkdfSync } from 'node:crypto';
import { powmod } from './primes.ts';

/** PRSS by its definition (protocols.md section 2), in bigints and one AES block at a time: slow. */

/** Subsets of exactly t of the parties 1..n, in lexicographic order. */
export function subsets(n: number, t: number): number[][] {
  if (t === 0) return [[]];
  const all: number[][] = [];
  for (let mask = 0; mask < 2 ** n; mask++) {
    const set = Array.from({ length: n }, (_, i) => i + 1).filter((i) => (mask >> (i - 1)) & 1);
    if (set.length === t) all.push(set);
  }
  const at = (set: readonly number[]): string => set.map((i) => i.toString().padStart(2, '0')).join();
  return all.sort((a, b) => (at(a) < at(b) ? -1 : 1));
}

/** A field of a hashed tuple: text, an integer, or bytes in hex. */
export type HashedField = { text: string } | { integer: number } | { hex: string };

/** SHA-256 of the fields, each behind its type and length. */
export function hashOf(fields: readonly HashedField[]): Buffer {
  const hash = createHash('sha256');
  for (const field of fields) {
    const [type, raw] =
      'text' in field
        ? [1, Buffer.from(field.text)]
        : 'integer' in field
          ? [2, littleEndian(BigInt(field.integer), 8)]
          : [3, Buffer.from(field.hex, 'hex')];
    hash
      .update(Buffer.from([type]))
      .update(littleEndian(BigInt(raw.length), 8))
      .update(raw);
  }
  return hash.digest();
}

/** Keystream of a seed and a label: AES-256 of counters that start at the label's two-block CBC-MAC. */
export function keystream(seed: Uint8Array, label: Buffer, sizeBytes: number): Buffer {
  const subkeys = Buffer.from(hkdfSync('sha256', seed, '', 'kms/v1/prf', 64));
  const [mac, stream] = [subkeys.subarray(0, 32), subkeys.subarray(32)];
  const chained = block(mac, label.subarray(0, 16)).map((byte, i) => byte ^ label[16 + i]!);
  const base = fromLittleEndian(block(mac, chained));
  const blocks = Array.from({ length: Math.ceil(sizeBytes / 16) }, (_, j) =>
    block(stream, littleEndian((base + BigInt(j)) % (1n << 128n), 16)),
  );
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}

/** r_A of a flood: uniform in [-2^floodBits, 2^floodBits), from limbs that lie in groups of four coefficients. */
export function floods(seed: Uint8Array, label: Buffer, count: number, floodBits: number): bigint[] {
  const limbs = Math.ceil((floodBits + 1) / 32);
  const bytes = keystream(seed, label, 4 * limbs * 4 * Math.ceil(count / 4));
  return Array.from({ length: count }, (_, c) => {
    let u = 0n;
    for (let limb = 0; limb < limbs; limb++) {
      const word = bytes.readUInt32LE(4 * (4 * (limbs * Math.floor(c / 4) + limb) + (c % 4)));
      u += BigInt(word) << BigInt(32 * limb);
    }
    return (u % (1n << BigInt(floodBits + 1))) - (1n << BigInt(floodBits));
  });
}

/** r_A of a secret: uniform in {-1, 0, 1}, byte 255 is no draw. */
export function ternaries(seed: Uint8Array, label: Buffer, count: number): bigint[] {
  const draws = [...keystream(seed, label, 2 * count + 256)].filter((byte) => byte !== 255);
  return draws.slice(0, count).map((byte) => BigInt((byte % 3) - 1));
}

/** r_A of an error: the difference of the weights of two groups of 21 bits. */
export function binomials(seed: Uint8Array, label: Buffer, count: number): bigint[] {
  const bytes = keystream(seed, label, 6 * count);
  const weight = (x: number): number => [...x.toString(2)].filter((bit) => bit === '1').length;
  return Array.from({ length: count }, (_, c) =>
    BigInt(weight(bytes.readUIntLE(6 * c, 3) % 2 ** 21) - weight(bytes.readUIntLE(6 * c + 3, 3) % 2 ** 21)),
  );
}

/** Value at 0 of the polynomial through (x, y) modulo q. */
export function atZero(points: readonly (readonly [number, bigint])[], q: bigint): bigint {
  let sum = 0n;
  for (const [x, y] of points) {
    let [above, below] = [1n, 1n];
    for (const [other] of points) {
      if (other === x) continue;
      above = (above * BigInt(other)) % q;
      below = (below * BigInt(other - x)) % q;
    }
    sum += y * above * powmod(((below % q) + q) % q, q - 2n, q);
  }
  return ((sum % q) + q) % q;
}

/** The integer nearest to 0 with these residues. */
export function centred(residues: readonly bigint[], primes: readonly bigint[]): bigint {
  const whole = primes.reduce((product, q) => product * q, 1n);
  const x = residues.reduce((sum, residue, j) => {
    const q = primes[j]!;
    const others = whole / q;
    return sum + residue * others * powmod(others % q, q - 2n, q);
  }, 0n);
  return 2n * (x % whole) > whole ? (x % whole) - whole : x % whole;
}

function block(key: Uint8Array, input: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(input), cipher.final()]);
}

function littleEndian(value: bigint, sizeBytes: number): Buffer {
  return Buffer.from(Array.from({ length: sizeBytes }, (_, i) => Number((value >> BigInt(8 * i)) & 255n)));
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
