import { beforeAll, describe, expect, it } from 'vitest';
import { savedBytes } from '../../../client/seal/context.ts';
import { keyBytesOf, keyMaterialOf } from '../../../shared/fhe/key-material.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { ciphertextBytes, readCiphertext, writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { decompressed } from '../../../shared/fhe/seal/decompress.ts';
import {
  readGaloisKeys,
  readPublicKey,
  readRelinKeys,
  writeGaloisKeys,
  writePublicKey,
  writeRelinKeys,
} from '../../../shared/fhe/seal/keys.ts';
import { codeRejected, codeThrown, type Fixture, fixture } from './fixture.ts';

let at: Fixture;
let fresh: Uint8Array;
beforeAll(async () => {
  at = await fixture('test-4096', 4, 'some');
  fresh = at.encrypt(BigUint64Array.from({ length: 4096 }, (_, i) => BigInt(i)));
});

/** SEAL's own bytes of the fresh ciphertext switched down to a level. */
function sealAtLevel(level: number): Uint8Array {
  const { seal, context } = at.runtime;
  using ciphertext = new seal.Ciphertext();
  using evaluator = new seal.Evaluator(context);
  ciphertext.loadFromArray(context, fresh);
  for (let left = at.preset.levels; left > level; left--) evaluator.cipherModSwitchToNextInplace(ciphertext);
  return savedBytes(at.runtime, ciphertext);
}

describe('SEAL ciphertexts', () => {
  it.each([3, 2, 1])('seal ciphertext: level %i is read and written back byte for byte', (level) => {
    const saved = sealAtLevel(level);
    const parsed = readCiphertext(at.preset, saved);
    expect(parsed.level).toBe(level);
    expect(saved.length).toBe(ciphertextBytes(4096, level));
    expect(parsed.c0.length).toBe(level * 4096);
    expect(writeCiphertext(at.preset, parsed)).toEqual(saved);
  });

  it('seal ciphertext: SEAL loads what we write and saves the same bytes', () => {
    const { seal, context } = at.runtime;
    using ciphertext = new seal.Ciphertext();
    ciphertext.loadFromArray(context, writeCiphertext(at.preset, readCiphertext(at.preset, fresh)));
    expect(savedBytes(at.runtime, ciphertext)).toEqual(fresh);
  });

  it('seal ciphertext: a product that was not relinearised is refused', () => {
    const { seal, context } = at.runtime;
    using a = new seal.Ciphertext();
    using evaluator = new seal.Evaluator(context);
    a.loadFromArray(context, sealAtLevel(2));
    evaluator.squareInplace(a);
    expect(codeThrown(() => readCiphertext(at.preset, savedBytes(at.runtime, a)))).toBe('BAD_ENCODING');
  });

  it('seal ciphertext: one of another preset or larger than a fresh one is refused', () => {
    expect(codeThrown(() => readCiphertext(presetByName('bfv-8192'), fresh))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readCiphertext(at.preset, new Uint8Array(fresh.length + 1)))).toBe('TOO_LARGE');
  });

  // Offsets: header 0..15, parms_id 16, is_ntt 48, size 49, N 57, k 65, scale 73, correction 81, inner header 89, count 105.
  const flaws: [string, number, number][] = [
    ['wrong magic', 0, 1],
    ['wrong header size', 2, 1],
    ['wrong major version', 3, 1],
    ['wrong minor version', 4, 3],
    ['claimed zlib', 5, 1],
    ['claimed zstd', 5, 2],
    ['unknown compression', 5, 3],
    ['reserved bytes', 6, 1],
    ['size too large', 8, 1],
    ['size beyond 2^53', 15, 255],
    ['parms_id of nothing', 20, 1],
    ['NTT form', 48, 1],
    ['component count', 49, 1],
    ['degree', 58, 1],
    ['prime count', 65, 1],
    ['scale', 79, 1],
    ['correction factor', 81, 2],
    ['inner magic', 89, 1],
    ['inner compression', 94, 1],
    ['inner size', 97, 1],
    ['word count', 105, 1],
  ];
  it.each(flaws)('seal ciphertext: %s is BAD_ENCODING', (_, offset, mask) => {
    const bad = fresh.slice();
    bad[offset]! ^= mask;
    expect(codeThrown(() => readCiphertext(at.preset, bad))).toBe('BAD_ENCODING');
  });

  it("seal ciphertext: another level's parms_id on these bytes is BAD_ENCODING", () => {
    const bad = fresh.slice();
    bad.set(Buffer.from(at.preset.parmsIds[1]!, 'hex'), 16);
    expect(codeThrown(() => readCiphertext(at.preset, bad))).toBe('BAD_ENCODING');
    bad.set(Buffer.from(at.preset.keyParmsId, 'hex'), 16);
    expect(codeThrown(() => readCiphertext(at.preset, bad))).toBe('BAD_ENCODING');
  });

  it('seal ciphertext: truncation and trailing bytes are BAD_ENCODING', () => {
    const lower = sealAtLevel(2);
    for (const size of [0, 15, 16, 47, 60, 112, lower.length - 1]) {
      expect(codeThrown(() => readCiphertext(at.preset, lower.slice(0, size)))).toBe('BAD_ENCODING');
    }
    const longer = new Uint8Array(lower.length + 1);
    longer.set(lower);
    expect(codeThrown(() => readCiphertext(at.preset, longer))).toBe('BAD_ENCODING');
  });

  it('seal ciphertext: the last residue below a prime is accepted, the prime itself is not', () => {
    for (const [row, prime] of [...at.preset.dataPrimes, ...at.preset.dataPrimes].entries()) {
      for (const index of [0, 4095]) {
        const offset = 113 + 8 * (row * 4096 + index);
        const bytes = fresh.slice();
        const view = new DataView(bytes.buffer);
        view.setBigUint64(offset, prime - 1n, true);
        const { c0, c1 } = readCiphertext(at.preset, bytes);
        expect((row < 3 ? c0 : c1)[(row % 3) * 4096 + index]).toBe(prime - 1n);
        for (const bad of [prime, prime + 1n, 1n << 63n, prime + (1n << 32n)]) {
          view.setBigUint64(offset, bad, true);
          expect(codeThrown(() => readCiphertext(at.preset, bytes))).toBe('BAD_ENCODING');
        }
      }
    }
  });

  it('seal ciphertext: residues of the wrong shape are not written', () => {
    const parsed = readCiphertext(at.preset, fresh);
    expect(codeThrown(() => writeCiphertext(at.preset, { ...parsed, level: 2 }))).toBe('BAD_INPUT');
    const c0 = parsed.c0.slice();
    c0[0] = at.preset.dataPrimes[0]!;
    expect(codeThrown(() => writeCiphertext(at.preset, { ...parsed, c0 }))).toBe('BAD_INPUT');
  });
});

describe('SEAL compression', () => {
  const limit = ciphertextBytes(4096, 3);
  const compressed = (mode: 'zlib' | 'zstd'): Uint8Array => {
    const { seal, context } = at.runtime;
    using ciphertext = new seal.Ciphertext();
    ciphertext.loadFromArray(context, fresh);
    const bytes: Uint8Array = ciphertext.saveToArray(seal.ComprModeType[mode]);
    return bytes.slice();
  };

  it('seal compression: zlib gives the bytes that were compressed, none is left alone', async () => {
    expect(await decompressed(compressed('zlib'), limit)).toEqual(fresh);
    expect(await decompressed(fresh, limit)).toEqual(fresh);
  });

  it('seal compression: zstd is refused with advice, and the strict readers take neither', async () => {
    expect(await codeRejected(() => decompressed(compressed('zstd'), limit))).toBe('BAD_ENCODING');
    await expect(decompressed(compressed('zstd'), limit)).rejects.toThrow('ComprModeType.none');
    for (const mode of ['zlib', 'zstd'] as const) {
      expect(codeThrown(() => readCiphertext(at.preset, compressed(mode)))).toBe('BAD_ENCODING');
    }
  });

  it('seal compression: a bomb stops at the limit, damaged data is BAD_ENCODING', async () => {
    const bomb = compressed('zlib');
    expect(await codeRejected(() => decompressed(bomb, bomb.length + 10))).toBe('TOO_LARGE');
    expect(await codeRejected(() => decompressed(fresh, fresh.length - 1))).toBe('TOO_LARGE');
    expect(await codeRejected(() => decompressed(bomb.slice(0, -1), limit))).toBe('BAD_ENCODING');
    const damaged = bomb.slice();
    damaged[1000]! ^= 255;
    expect(await codeRejected(() => decompressed(damaged, limit))).toBe('BAD_ENCODING');
  });
});

describe('SEAL keys', () => {
  it('seal keys: SEAL loads what we write and saves the same bytes', () => {
    const { seal, context } = at.runtime;
    using publicKey = new seal.PublicKey();
    using relin = new seal.RelinKeys();
    using galois = new seal.GaloisKeys();
    publicKey.loadFromArray(context, at.bytes.publicKey);
    relin.loadFromArray(context, at.bytes.relinKeys);
    galois.loadFromArray(context, at.bytes.galoisKeys);
    expect(savedBytes(at.runtime, publicKey)).toEqual(at.bytes.publicKey);
    expect(savedBytes(at.runtime, relin)).toEqual(at.bytes.relinKeys);
    expect(Buffer.compare(savedBytes(at.runtime, galois), at.bytes.galoisKeys ?? fresh)).toBe(0);
    for (const element of at.keys.material.galois.keys()) expect(galois.hasKey(element)).toBe(true);
    expect(galois.hasKey(9)).toBe(false);
  });

  it("seal keys: SEAL's own keys are read and written back byte for byte", () => {
    const { seal, context } = at.runtime;
    using generator = new seal.KeyGenerator(context);
    using publicKey = generator.createPublicKey();
    using relin = generator.createRelinKeys();
    using galois = generator.createGaloisKeysWithSteps(Int32Array.of(1, -2));
    const [pk, rlk, gk] = [publicKey, relin, galois].map((key) => savedBytes(at.runtime, key));
    expect(writePublicKey(at.preset, readPublicKey(at.preset, pk!))).toEqual(pk);
    expect(Buffer.compare(writeRelinKeys(at.preset, readRelinKeys(at.preset, rlk!)), rlk!)).toBe(0);
    const read = readGaloisKeys(at.preset, gk!);
    expect(read.size).toBe(2);
    expect(Buffer.compare(writeGaloisKeys(at.preset, read), gk!)).toBe(0);
  });

  it('seal keys: material to bytes and back is the identity', () => {
    const material = keyMaterialOf(at.preset, at.bytes);
    expect(material.publicKey).toEqual(at.keys.material.publicKey);
    expect([...material.galois.keys()].sort()).toEqual([...at.keys.material.galois.keys()].sort());
    expect(keyBytesOf({ ...material, galois: new Map() })).not.toHaveProperty('galoisKeys');
    expect(keyMaterialOf(at.preset, { ...at.bytes, relinKeys: at.bytes.relinKeys }).relin.length).toBe(3);
  });

  it('seal keys: other parameters, sizes, digit counts and trailing bytes are refused', () => {
    const other = presetByName('bfv-8192');
    const { publicKey, relinKeys } = at.bytes;
    expect(codeThrown(() => readPublicKey(other, publicKey))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readRelinKeys(other, relinKeys))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readPublicKey(at.preset, relinKeys))).toBe('TOO_LARGE');
    expect(codeThrown(() => readRelinKeys(at.preset, publicKey))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readGaloisKeys(at.preset, relinKeys))).toBe('BAD_ENCODING');
    expect(codeThrown(() => readPublicKey(at.preset, publicKey.slice(0, -1)))).toBe('BAD_ENCODING');
    // Header, parms_id, u64 entries, u64 digits.
    for (const offset of [16, 48, 56]) {
      const bad = relinKeys.slice();
      bad[offset]! ^= 1;
      expect(codeThrown(() => readRelinKeys(at.preset, bad))).toBe('BAD_ENCODING');
    }
    const empty = relinKeys.slice(0, 64);
    empty.set([64, 0, 0, 0, 0, 0, 0, 0], 8);
    empty.fill(0, 56);
    expect(codeThrown(() => readRelinKeys(at.preset, empty))).toBe('BAD_ENCODING');
  });

  it('seal keys: elements and digits that do not exist are not written', () => {
    const { relin } = at.keys.material;
    for (const element of [1, 2, 8193, -3, 3.5]) {
      expect(codeThrown(() => writeGaloisKeys(at.preset, new Map([[element, relin]])))).toBe('BAD_INPUT');
    }
    expect(codeThrown(() => writeRelinKeys(at.preset, relin.slice(1)))).toBe('BAD_INPUT');
  });
});
