import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type SealRuntime, sealRuntime } from '../../../client/seal/context.ts';
import { sealPlaintext } from '../../../client/seal/plaintext.ts';
import { presetByName, presets } from '../../../shared/fhe/presets.ts';
import { decodeValue, encodeValue, plainL1 } from '../../../shared/fhe/value.ts';
import { codeThrown } from './fixture.ts';

const preset = presetByName('test-4096');
const p = preset.plainModulus;
let runtime: SealRuntime;
beforeAll(async () => {
  runtime = await sealRuntime(preset);
});

/** SEAL prints a plaintext as hexadecimal terms, "1Fx^3 + 2". */
function coefficientsOf(text: string, degree: number): BigUint64Array {
  const coefficients = new BigUint64Array(degree);
  for (const term of text.split(' + ')) {
    const [coefficient, exponent] = term.split('x^');
    coefficients[Number(exponent ?? 0)] = BigInt(`0x${coefficient}`);
  }
  return coefficients;
}

describe('value', () => {
  it.each(presets.map(({ name }) => name))(
    "value: vectors of %s are SEAL BatchEncoder's polynomials",
    async (name) => {
      const at = await sealRuntime(presetByName(name));
      const { degree, plainModulus } = at.preset;
      const values = BigUint64Array.from(
        { length: degree },
        (_, i) => (BigInt(i) * 123_457n + 99n) % plainModulus,
      );
      using plaintext = sealPlaintext(at, { kind: 'vector', values }).plaintext;
      const coefficients = encodeValue(at.kernel, at.preset, { kind: 'vector', values });
      expect(coefficients).toEqual(coefficientsOf(plaintext.toString(), degree));
      expect(decodeValue(at.kernel, at.preset, 'vector', coefficients)).toEqual({ kind: 'vector', values });
    },
  );

  it('value: a scalar is the constant polynomial, for SEAL the same value in every slot', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: p - 1n }), (value) => {
        using plaintext = sealPlaintext(runtime, { kind: 'scalar', value }).plaintext;
        const coefficients = encodeValue(runtime.kernel, preset, { kind: 'scalar', value });
        expect(coefficients).toEqual(coefficientsOf(plaintext.toString(), preset.degree));
        expect(decodeValue(runtime.kernel, preset, 'scalar', coefficients)).toEqual({
          kind: 'scalar',
          value,
        });
        expect(decodeValue(runtime.kernel, preset, 'scalar', coefficients.slice(0, 1))).toEqual({
          kind: 'scalar',
          value,
        });
        expect(plainL1(preset, coefficients)).toBe(2n * value > p ? p - value : value);
      }),
      { numRuns: 20 },
    );
  });

  it('value: short vectors are filled up with zeros', () => {
    const coefficients = encodeValue(runtime.kernel, preset, {
      kind: 'vector',
      values: BigUint64Array.of(5n, 6n),
    });
    const decoded = decodeValue(runtime.kernel, preset, 'vector', coefficients);
    const expected = new BigUint64Array(preset.degree);
    expected.set([5n, 6n]);
    expect(decoded).toEqual({ kind: 'vector', values: expected });
  });

  it('value: slot products are polynomial products (a slot is an evaluation)', () => {
    const values = BigUint64Array.from({ length: preset.degree }, (_, i) => BigInt(i % 7));
    const polynomial = encodeValue(runtime.kernel, preset, { kind: 'vector', values });
    // Multiplying by X^N = -1 negates every slot.
    const negated = polynomial.map((x) => (x === 0n ? 0n : p - x));
    const decoded = decodeValue(runtime.kernel, preset, 'vector', negated);
    expect(decoded).toEqual({ kind: 'vector', values: values.map((x) => (x === 0n ? 0n : p - x)) });
  });

  it('value: what does not fit is BAD_INPUT', () => {
    const encode = (value: Parameters<typeof encodeValue>[2]) =>
      codeThrown(() => encodeValue(runtime.kernel, preset, value));
    expect(encode({ kind: 'scalar', value: p })).toBe('BAD_INPUT');
    expect(encode({ kind: 'scalar', value: -1n })).toBe('BAD_INPUT');
    expect(encode({ kind: 'vector', values: BigUint64Array.of(p) })).toBe('BAD_INPUT');
    expect(encode({ kind: 'vector', values: new BigUint64Array(preset.degree + 1) })).toBe('BAD_INPUT');
    const decode = (kind: 'scalar' | 'vector', length: number) =>
      codeThrown(() => decodeValue(runtime.kernel, preset, kind, new BigUint64Array(length)));
    expect(decode('scalar', 0)).toBe('BAD_INPUT');
    expect(decode('vector', 1)).toBe('BAD_INPUT');
  });
});
