import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import { openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { inputBound } from '../../../shared/fhe/noise.ts';
import { readCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { decompressed } from '../../../shared/fhe/seal/decompress.ts';
import { readGaloisKeys, readPublicKey, readRelinKeys } from '../../../shared/fhe/seal/keys.ts';
import { noble } from '../../../shared/noble.ts';
import { type Fixture, fixture } from '../../unit/fhe/fixture.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 60);
const allowed = new Set(['BAD_ENCODING', 'TOO_LARGE', 'UNKNOWN_PRESET', 'WRONG_LEVEL']);

let at: Fixture;
let body: Uint8Array;
let envelope: Uint8Array;
let deflated: Uint8Array;
beforeAll(async () => {
  at = await fixture('test-4096', 4, 'some');
  body = at.encrypt(BigUint64Array.of(1n, 2n, 3n));
  envelope = sealEnvelope(
    { keyId: at.keyId, preset: at.preset, kind: 'vector', bound: inputBound(at.preset) },
    body,
  );
  const { seal, context } = at.runtime;
  using ciphertext = new seal.Ciphertext();
  ciphertext.loadFromArray(context, body);
  const saved: Uint8Array = ciphertext.saveToArray(seal.ComprModeType.zlib);
  deflated = saved.slice();
});

/** Bytes changed, most of them in the first few hundred where the structure is; then cut, extended or left. */
const damage = fc.record({
  edits: fc.array(
    fc.record({
      at: fc.oneof({ weight: 4, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(2 ** 30) }),
      value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 127, 128, 255)),
    }),
    { maxLength: 6 },
  ),
  size: fc.oneof(
    fc.constant('same' as const),
    fc.constant('longer' as const),
    fc.double({ min: 0, max: 1, noNaN: true }),
  ),
});
type Damage = typeof damage extends fc.Arbitrary<infer D> ? D : never;

function damaged(original: Uint8Array, { edits, size }: Damage): Uint8Array {
  const length =
    size === 'same'
      ? original.length
      : size === 'longer'
        ? original.length + 7
        : Math.floor(size * original.length);
  const bytes = new Uint8Array(length);
  bytes.set(original.subarray(0, length));
  for (const edit of edits) if (length > 0) bytes[edit.at % length] = edit.value;
  return bytes;
}

/** Whatever a decoder accepts it must accept for a reason; whatever it refuses, with a code of its contract. */
function mustFailCleanly(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
    expect(allowed).toContain(error instanceof KmsError ? error.code : 'none');
  }
}

describe('fuzz: SEAL bytes and envelopes', () => {
  it('fuzz ciphertext: damaged bytes give a ciphertext or a KmsError', () => {
    fc.assert(
      fc.property(damage, (d) => {
        const bytes = damaged(body, d);
        mustFailCleanly(() => {
          const { level, c0, c1 } = readCiphertext(at.preset, bytes);
          const ring = at.keys.ring.take(level);
          expect(ring.isReduced(c0) && ring.isReduced(c1)).toBe(true);
        });
      }),
      { numRuns },
    );
  });

  it('fuzz envelope: damaged bytes give an envelope that seals to the same bytes, or a KmsError', () => {
    fc.assert(
      fc.property(damage, (d) => {
        const bytes = damaged(envelope, d);
        mustFailCleanly(() => {
          const opened = openEnvelope(bytes, noble);
          expect(Buffer.compare(sealEnvelope(opened, opened.body), bytes)).toBe(0);
        });
      }),
      { numRuns },
    );
  });

  it('fuzz keys: damaged public, relinearisation and Galois keys give keys or a KmsError', () => {
    fc.assert(
      fc.property(
        damage,
        fc.constantFrom('publicKey' as const, 'relinKeys' as const, 'galoisKeys' as const),
        (d, which) => {
          const bytes = damaged(at.bytes[which] ?? body, d);
          const read = { publicKey: readPublicKey, relinKeys: readRelinKeys, galoisKeys: readGaloisKeys }[
            which
          ];
          mustFailCleanly(() => read(at.preset, bytes));
        },
      ),
      { numRuns },
    );
  });

  it('fuzz random bytes: no decoder accepts or crashes on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(120), (noise, keep) => {
        // With a genuine beginning, to get past the first checks.
        const bytes = Uint8Array.from([...body.subarray(0, keep), ...noise]);
        expect(() => readCiphertext(at.preset, bytes)).toThrow(KmsError);
        expect(() => openEnvelope(bytes, noble)).toThrow(KmsError);
        expect(() => readPublicKey(at.preset, bytes)).toThrow(KmsError);
        expect(() => readGaloisKeys(at.preset, bytes)).toThrow(KmsError);
      }),
      { numRuns },
    );
  });

  it('fuzz compression: damaged zlib gives bytes within the limit or a KmsError', async () => {
    await fc.assert(
      fc.asyncProperty(damage, async (d) => {
        const bytes = damaged(deflated, d);
        try {
          expect((await decompressed(bytes, body.length)).length).toBeLessThanOrEqual(body.length);
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
        }
      }),
      { numRuns },
    );
  });
});
