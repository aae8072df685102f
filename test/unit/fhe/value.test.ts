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
        expect(plainL1(preset, coefficients)).toBe(value);
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

  it('value: slots are evaluations: multiplying polynomials by X^k multiplies slot by slot', () => {
    const n = preset.degree;
    const slotsOf = (polynomial: BigUint64Array): BigUint64Array => {
      const decoded = decodeValue(runtime.kernel, preset, 'vector', polynomial);
      return decoded.kind === 'vector' ? decoded.values : new BigUint64Array(0);
    };
    const values = BigUint64Array.from({ length: n }, (_, i) => BigInt(i % 7));
    const polynomial = encodeValue(runtime.kernel, preset, { kind: 'vector', values });
    for (const k of [1, 1000]) {
      const monomial = new BigUint64Array(n);
      monomial[k] = 1n;
      // X^N = -1.
      const shifted = polynomial.map((_, i) =>
        i >= k ? polynomial[i - k]! : (p - polynomial[n + i - k]!) % p,
      );
      const factors = slotsOf(monomial);
      expect(slotsOf(shifted)).toEqual(values.map((x, i) => (x * factors[i]!) % p));
    }
  });

  it('value: the cost of a factor is the sum of its centred coefficients, but a lone one is not centred', () => {
    expect(plainL1(preset, BigUint64Array.of(3n, p - 5n, 0n))).toBe(8n);
    expect(plainL1(preset, BigUint64Array.of(0n, p - 5n, 0n))).toBe(p - 5n);
    expect(plainL1(preset, new BigUint64Array(3))).toBe(0n);
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
