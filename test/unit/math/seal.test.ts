import { type Ciphertext, initialize } from 'node-seal';
import { describe, expect, test } from 'vitest';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';

/** node-seal as the oracle of byte order, NTT order and rescaling. */

const [seal, kernel] = await Promise.all([initialize(), Kernel.load()]);

/** Header, parms_id, is_ntt, size/N/k, scale, correction factor, nested header, count. */
const CIPHERTEXT_PREFIX = 16 + 32 + 1 + 24 + 8 + 8 + 16 + 8;
/** Header, parms_id, coefficient count, scale, nested header, count. */
const PLAINTEXT_PREFIX = 16 + 32 + 8 + 8 + 16 + 8;

const words = (bytes: Uint8Array, prefix: number): BigUint64Array =>
  new BigUint64Array(bytes.slice(prefix).buffer);
const raw = (value: { saveToArray(mode: typeof seal.ComprModeType.none): Uint8Array }): Uint8Array =>
  value.saveToArray(seal.ComprModeType.none);

describe.each([
  { degree: 4096, bits: [36, 36, 37] },
  { degree: 8192, bits: [54, 54, 52, 54] },
  { degree: 8192, bits: [60, 30, 45, 57] },
])('SEAL at degree $degree, primes of $bits bits', ({ degree, bits }) => {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bfv);
  parameters.setPolyModulusDegree(degree);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(degree, Int32Array.from(bits)));
  parameters.setPlainModulus(seal.PlainModulus.Batching(degree, 20));
  const context = new seal.SEALContext(parameters, true, seal.SecLevelType.tc128);
  const chain = parameters.coeffModulus();
  const primes = bits.map((_, j) => chain.get(j)!.value());
  const ring = new Ring(kernel, degree, primes);
  const generator = new seal.KeyGenerator(context);
  const secretKey = generator.secretKey();
  const secret = words(raw(secretKey), PLAINTEXT_PREFIX);
  const evaluator = new seal.Evaluator(context);

  test('intt: turns a secret key into the ternary coefficients it was made from, and ntt back', () => {
    expect(secret.length).toBe(ring.length);
    const coefficients = secret.slice();
    ring.intt(coefficients);
    const signed = Int8Array.from(coefficients.subarray(0, degree), (x) =>
      Number(x > 1n ? BigInt.asIntN(64, x - primes[0]!) : x),
    );
    expect(new Set(signed)).toEqual(new Set([-1, 0, 1]));
    expect(ring.fromSigned(signed)).toEqual(coefficients);
    ring.ntt(coefficients);
    expect(coefficients).toEqual(secret);
  });

  test('mul, add: a public key (b, a) has b + a s small', () => {
    const key = words(raw(generator.createPublicKey()), CIPHERTEXT_PREFIX);
    const [b, a] = [key.subarray(0, ring.length), key.subarray(ring.length)];
    const error = ring.add(b, ring.mul(a, secret));
    ring.intt(error);
    for (let i = 0; i < degree; i++) {
      const e = error[i]! > primes[0]! / 2n ? error[i]! - primes[0]! : error[i]!;
      expect(e >= -21n && e <= 21n).toBe(true);
    }
  });

  test('divideAndRoundLast: bit-identical to mod_switch_to_next, down to one prime', () => {
    const encryptor = new seal.Encryptor(context, generator.createPublicKey());
    const encoder = new seal.BatchEncoder(context);
    const [plain, first, next] = [new seal.Plaintext(), new seal.Ciphertext(), new seal.Ciphertext()];
    encoder.encode(
      BigUint64Array.from({ length: degree }, (_, i) => BigInt(i * 7919) % 65_537n),
      plain,
    );
    encryptor.encrypt(plain, first);
    let current: Ciphertext = first;
    for (
      let level = ring.take(primes.length - 1);
      level.primes.length > 1;
      level = level.take(level.primes.length - 1)
    ) {
      evaluator.cipherModSwitchToNext(current, next);
      const before = words(raw(current), CIPHERTEXT_PREFIX);
      const after = words(raw(next), CIPHERTEXT_PREFIX);
      const half = after.length / 2;
      for (const component of [0, 1]) {
        const poly = before.slice(component * level.length, (component + 1) * level.length);
        expect(level.divideAndRoundLast(poly)).toEqual(after.slice(component * half, (component + 1) * half));
      }
      current = next.copy();
    }
  });

  test('scaleToPlain: decrypts as SEAL does', () => {
    const encryptor = new seal.Encryptor(context, generator.createPublicKey());
    const decryptor = new seal.Decryptor(context, secretKey);
    const [plain, cipher, out] = [new seal.Plaintext(), new seal.Ciphertext(), new seal.Plaintext()];
    const encoder = new seal.BatchEncoder(context);
    encoder.encode(
      BigUint64Array.from({ length: degree }, (_, i) => BigInt(i * 104_729) % 65_537n),
      plain,
    );
    encryptor.encrypt(plain, cipher);
    decryptor.decrypt(cipher, out);
    const data = ring.take(primes.length - 1);
    const body = words(raw(cipher), CIPHERTEXT_PREFIX);
    const [c0, c1] = [body.slice(0, data.length), body.slice(data.length)];
    data.ntt(c1);
    const masked = data.mul(c1, secret.subarray(0, data.length));
    data.intt(masked);
    const message = data.scaleToPlain(data.add(c0, masked), parameters.plainModulus().value());
    const expected = words(raw(out), PLAINTEXT_PREFIX);
    expect(message.subarray(0, expected.length)).toEqual(expected);
  });
});
