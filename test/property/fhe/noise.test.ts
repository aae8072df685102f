import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Evaluator } from '../../../client/seal/evaluator.ts';
import { alignedPair } from '../../../infra/presets/attack.ts';
import { hostileEncryption, measure, noiseItself } from '../../../infra/presets/measure.ts';
import { type Envelope, openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { boundAtDecryption, inputBound } from '../../../shared/fhe/noise.ts';
import { writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { switchDown } from '../../../shared/fhe/switch-down.ts';
import { encodeValue, type Value } from '../../../shared/fhe/value.ts';
import { noble } from '../../../shared/noble.ts';
import { codeThrown, type Fixture, fixture } from '../../unit/fhe/fixture.ts';

interface Step {
  readonly operation:
    | 'add'
    | 'sub'
    | 'mul'
    | 'negate'
    | 'addPlain'
    | 'mulPlain'
    | 'rotate'
    | 'swapRows'
    | 'switchDown';
  readonly left: number;
  readonly right: number;
  readonly plain: bigint;
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    operation: fc.constantFrom(
      'add' as const,
      'sub' as const,
      'mul' as const,
      'mul' as const,
      'negate' as const,
      'addPlain' as const,
      'mulPlain' as const,
      'rotate' as const,
      'swapRows' as const,
      'switchDown' as const,
    ),
    left: fc.nat(100),
    right: fc.nat(100),
    plain: fc.bigInt({ min: 1n, max: 1_032_192n }),
  }),
  { minLength: 3, maxLength: 6 },
);

/** A ciphertext and what its slots must hold. */
interface Tracked {
  readonly envelope: Uint8Array;
  readonly slots: BigUint64Array;
}

/** Slot arithmetic without any encryption. */
function expected(step: Step, x: BigUint64Array, y: BigUint64Array, p: bigint): BigUint64Array {
  const n = x.length;
  const half = n / 2;
  switch (step.operation) {
    case 'add':
      return x.map((v, i) => (v + y[i]!) % p);
    case 'sub':
      return x.map((v, i) => (v + p - y[i]!) % p);
    case 'mul':
      return x.map((v, i) => (v * y[i]!) % p);
    case 'negate':
      return x.map((v) => (p - v) % p);
    case 'addPlain':
      return x.map((v) => (v + step.plain) % p);
    case 'mulPlain':
      return x.map((v) => (v * step.plain) % p);
    case 'rotate':
      return x.map((_, i) => x[(i < half ? 0 : half) + ((i + 1) % half)]!);
    case 'swapRows':
      return x.map((_, i) => x[(i + half) % n]!);
    case 'switchDown':
      return x;
  }
}

function run(evaluator: Evaluator, step: Step, x: Uint8Array, y: Uint8Array): Uint8Array {
  const plain: Value = { kind: 'scalar', value: step.plain };
  switch (step.operation) {
    case 'add':
    case 'sub':
    case 'mul':
      return evaluator[step.operation](x, y);
    case 'negate':
    case 'swapRows':
    case 'switchDown':
      return evaluator[step.operation](x);
    case 'addPlain':
    case 'mulPlain':
      return evaluator[step.operation](x, plain);
    case 'rotate':
      return evaluator.rotate(x, 1);
  }
}

/** A hostile input of maximal noise, two aligned to hurt each other's product, and one that SEAL made. */
function inputs(at: Fixture): Tracked[] {
  const { preset, keys, runtime, keyId } = at;
  const header = { keyId, preset, kind: 'vector', bound: inputBound(preset) } as const;
  const slotsOf = (factor: bigint) =>
    BigUint64Array.from({ length: preset.degree }, (_, i) => (BigInt(i + 1) * factor) % preset.plainModulus);
  const [one, two] = [slotsOf(3n), slotsOf(77_777n)];
  const message = encodeValue(runtime.kernel, preset, { kind: 'vector', values: one });
  const hostile = [hostileEncryption(keys, message, noiseItself(preset)), ...alignedPair(keys, message)];
  return [
    ...hostile.map((ciphertext) => ({
      envelope: sealEnvelope(header, writeCiphertext(preset, ciphertext)),
      slots: one,
    })),
    { envelope: sealEnvelope(header, at.encrypt(two)), slots: two },
  ];
}

/** The exact noise is within the bound, here and after the switch down, and the message right. */
function check(at: Fixture, opened: Envelope, slots: BigUint64Array): void {
  const { keys, preset, runtime } = at;
  const level = opened.bound.level;
  const wanted = encodeValue(runtime.kernel, preset, { kind: 'vector', values: slots });
  const here = measure(keys, { level, c0: opened.c0, c1: opened.c1 });
  expect(here.noise).toBeLessThanOrEqual(opened.bound.bound);
  expect(Buffer.compare(Buffer.from(here.message.buffer), Buffer.from(wanted.buffer))).toBe(0);
  const [c0, c1] = [opened.c0, opened.c1].map((c) => switchDown(keys.ring, preset, c, level));
  const below = measure(keys, { level: preset.decryptionLevel, c0: c0!, c1: c1! });
  expect(below.noise).toBeLessThanOrEqual(boundAtDecryption(preset, opened.bound).bound);
  expect(below.noise).toBeLessThanOrEqual(preset.vMax);
  expect(Buffer.compare(Buffer.from(below.message.buffer), Buffer.from(wanted.buffer))).toBe(0);
}

describe('noise of node-seal', () => {
  it.each([
    ['test-4096', 715, 12],
    ['test-4096', 4, 4],
    ['bfv-8192', 715, 3],
  ] as const)(
    'noise: random circuits under %s with %i seeds stay within the static bound',
    async (name, seeds, numRuns) => {
      const at = await fixture(name, seeds, 'some');
      using evaluator = await Evaluator.create(at.preset, at.keyId, at.bytes);
      const start = inputs(at);
      for (const { envelope, slots } of start) check(at, openEnvelope(envelope, noble), slots);
      fc.assert(
        fc.property(steps, (circuit) => {
          const pool = [...start];
          for (const step of circuit) {
            const [x, y] = [pool[step.left % pool.length]!, pool[step.right % pool.length]!];
            let envelope: Uint8Array | undefined;
            const code = codeThrown(() => {
              envelope = run(evaluator, step, x.envelope, y.envelope);
            });
            if (envelope === undefined) {
              // Refused by the rule, already at the last level, or x - x.
              expect(['TOO_NOISY', 'WRONG_LEVEL', 'BAD_INPUT']).toContain(code);
              continue;
            }
            const slots = expected(step, x.slots, y.slots, at.preset.plainModulus);
            check(at, openEnvelope(envelope, noble), slots);
            pool.push({ envelope, slots });
          }
        }),
        { numRuns },
      );
    },
  );

  it('noise: the bound is not idle: a hostile product comes within 3 bits of it, an input within half a bit', async () => {
    const at = await fixture('test-4096', 715);
    using evaluator = await Evaluator.create(at.preset, at.keyId, at.bytes);
    const [loud, left, right] = inputs(at);
    const input = openEnvelope(loud!.envelope, noble);
    const product = openEnvelope(evaluator.mul(left!.envelope, right!.envelope), noble);
    const noiseOf = ({ bound, c0, c1 }: Envelope) => measure(at.keys, { level: bound.level, c0, c1 }).noise;
    expect(3n * noiseOf(input)).toBeGreaterThan(2n * input.bound.bound);
    expect(8n * noiseOf(product)).toBeGreaterThan(product.bound.bound);
  });
});
