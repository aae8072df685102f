import { beforeAll, describe, expect, it } from 'vitest';
import { Encryptor } from '../../../client/seal/encryptor.ts';
import { Evaluator } from '../../../client/seal/evaluator.ts';
import { importCiphertext } from '../../../client/seal/import.ts';
import { measure } from '../../../infra/presets/measure.ts';
import { seededRng, wideKeys } from '../../../infra/presets/wide-keys.ts';
import { openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { galoisElements } from '../../../shared/fhe/galois.ts';
import { keyBytesOf } from '../../../shared/fhe/key-material.ts';
import { inputBound, mulBound, noiseCeiling } from '../../../shared/fhe/noise.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import type { Value } from '../../../shared/fhe/value.ts';
import { keyId } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import { codeRejected, codeThrown, type Fixture, fixture } from './fixture.ts';

let at: Fixture;
let encryptor: Encryptor;
let evaluator: Evaluator;
beforeAll(async () => {
  at = await fixture('test-4096', 715, 'some');
  encryptor = await Encryptor.create(at.preset, at.keyId, at.bytes.publicKey);
  evaluator = await Evaluator.create(at.preset, at.keyId, at.bytes);
});

const scalar = (value: bigint): Value => ({ kind: 'scalar', value });
const vector = (values: bigint[]): Value => ({ kind: 'vector', values: BigUint64Array.from(values) });

/** Slots by SEAL's own decryption. */
function slots(envelope: Uint8Array, count: number): bigint[] {
  return [...at.decrypt(openEnvelope(envelope, noble).body).subarray(0, count)];
}

describe('encryptor', () => {
  it('encryptor: a fresh envelope has the first level, the input bound and the value', () => {
    const envelope = encryptor.encrypt(vector([7n, 8n, 9n]));
    const { keyId: id, kind, bound, preset } = openEnvelope(envelope, noble);
    expect({ id, kind, bound, preset }).toEqual({
      id: at.keyId,
      kind: 'vector',
      bound: inputBound(at.preset),
      preset: at.preset,
    });
    expect(slots(envelope, 4)).toEqual([7n, 8n, 9n, 0n]);
    expect(slots(encryptor.encrypt(scalar(5n)), 3)).toEqual([5n, 5n, 5n]);
    expect(slots(encryptor.encrypt(scalar(0n)), 2)).toEqual([0n, 0n]);
  });

  it('encryptor: values out of range and keys of other parameters are refused', async () => {
    expect(codeThrown(() => encryptor.encrypt(scalar(at.preset.plainModulus)))).toBe('BAD_INPUT');
    const other = presetByName('bfv-8192');
    expect(await codeRejected(() => Encryptor.create(other, at.keyId, at.bytes.publicKey))).toBe(
      'BAD_ENCODING',
    );
    expect(await codeRejected(() => Encryptor.create(at.preset, at.keyId, new Uint8Array(40)))).toBe(
      'BAD_ENCODING',
    );
  });
});

describe('import', () => {
  it('import: a ciphertext saved by SEAL, compressed or not, becomes the envelope of an input', async () => {
    const { seal, context } = at.runtime;
    const body = at.encrypt(BigUint64Array.of(6n, 7n));
    using ciphertext = new seal.Ciphertext();
    ciphertext.loadFromArray(context, body);
    const deflated: Uint8Array = ciphertext.saveToArray(seal.ComprModeType.zlib);
    const expected = sealEnvelope(
      { keyId: at.keyId, preset: at.preset, kind: 'vector', bound: inputBound(at.preset) },
      body,
    );
    expect(await importCiphertext(at.preset, at.keyId, 'vector', body)).toEqual(expected);
    expect(await importCiphertext(at.preset, at.keyId, 'vector', deflated.slice())).toEqual(expected);
  });

  it('import: a lower level is not an input, garbage is not a ciphertext', async () => {
    const lower = openEnvelope(evaluator.switchDown(encryptor.encrypt(scalar(1n))), noble).body;
    expect(await codeRejected(() => importCiphertext(at.preset, at.keyId, 'scalar', lower))).toBe(
      'WRONG_LEVEL',
    );
    const garbage = new Uint8Array(100);
    expect(await codeRejected(() => importCiphertext(at.preset, at.keyId, 'scalar', garbage))).toBe(
      'BAD_ENCODING',
    );
  });
});

describe('evaluator', () => {
  it('evaluator: (a+b)*c of scalars', () => {
    const [a, b, c] = [3n, 4n, 1000n].map((x) => encryptor.encrypt(scalar(x)));
    const result = evaluator.mul(evaluator.add(a!, b!), c!);
    expect(slots(result, 2)).toEqual([7000n, 7000n]);
    expect(openEnvelope(result, noble).kind).toBe('scalar');
  });

  it('evaluator: a scalar acts on every slot of a vector', () => {
    const result = evaluator.mul(encryptor.encrypt(vector([1n, 2n, 3n])), encryptor.encrypt(scalar(10n)));
    expect(slots(result, 4)).toEqual([10n, 20n, 30n, 0n]);
    expect(openEnvelope(result, noble).kind).toBe('vector');
  });

  it('evaluator: sub, negate, plaintext operands, rotation and swap', () => {
    const p = at.preset.plainModulus;
    const a = encryptor.encrypt(vector([1n, 2n, 3n]));
    expect(slots(evaluator.sub(a, encryptor.encrypt(vector([1n, 3n]))), 3)).toEqual([0n, p - 1n, 3n]);
    expect(slots(evaluator.negate(a), 2)).toEqual([p - 1n, p - 2n]);
    expect(slots(evaluator.addPlain(a, vector([0n, 5n])), 3)).toEqual([1n, 7n, 3n]);
    expect(slots(evaluator.mulPlain(a, scalar(p - 1n)), 2)).toEqual([p - 1n, p - 2n]);
    expect(slots(evaluator.mulPlain(a, vector([4n, 0n, 5n])), 4)).toEqual([4n, 0n, 15n, 0n]);
    expect(slots(evaluator.rotate(a, 1), 3)).toEqual([2n, 3n, 0n]);
    expect(at.decrypt(openEnvelope(evaluator.swapRows(a), noble).body)[2048]).toBe(1n);
  });

  it('evaluator: the sum of all slots with the Galois keys of option sum', async () => {
    const { preset } = at;
    const keys = wideKeys(at.runtime.kernel, preset, 4, seededRng('sum'), galoisElements(preset, 'sum'));
    const bytes = keyBytesOf(keys.material);
    using summing = await Evaluator.create(preset, at.keyId, bytes);
    using encrypting = await Encryptor.create(preset, at.keyId, bytes.publicKey);
    const result = summing.sumSlots(encrypting.encrypt(vector([1n, 20n, 300n])));
    const { bound, c0, c1 } = openEnvelope(result, noble);
    const { message, noise } = measure(keys, { level: bound.level, c0, c1 });
    expect(message[0]).toBe(321n);
    expect(message.subarray(1).every((x) => x === 0n)).toBe(true);
    expect(noise).toBeLessThanOrEqual(bound.bound);
  });

  it('evaluator: operands of different levels meet at the lower one', () => {
    const a = encryptor.encrypt(scalar(40n));
    const lower = evaluator.switchDown(encryptor.encrypt(scalar(2n)));
    // Two roundings do not fit this preset's vMax.
    expect(codeThrown(() => evaluator.add(a, lower))).toBe('TOO_NOISY');
    const { body, ...header } = openEnvelope(lower, noble);
    const quiet = sealEnvelope({ ...header, bound: { bound: 1000n, level: 2 } }, body);
    for (const sum of [evaluator.add(a, quiet), evaluator.add(quiet, a)]) {
      expect(slots(sum, 1)).toEqual([42n]);
      expect(openEnvelope(sum, noble).bound.level).toBe(2);
    }
    expect(codeThrown(() => evaluator.switchDown(lower))).toBe('WRONG_LEVEL');
  });

  it('evaluator: a factor above p/2 costs what its negative costs', () => {
    const p = at.preset.plainModulus;
    const result = evaluator.mulPlain(encryptor.encrypt(scalar(9n)), scalar(p - 1n));
    expect(slots(result, 1)).toEqual([p - 9n]);
    expect(openEnvelope(result, noble).bound.bound).toBe(inputBound(at.preset).bound + 3n);
  });

  it('evaluator: bounds are those of the rule, and what could not be decrypted is TOO_NOISY', () => {
    const a = encryptor.encrypt(scalar(2n));
    const product = evaluator.mul(a, a);
    const { bound } = openEnvelope(product, noble);
    expect(bound).toEqual(mulBound(at.preset, inputBound(at.preset), inputBound(at.preset)));
    expect(codeThrown(() => evaluator.mul(product, a))).toBe('TOO_NOISY');
    let sum = product;
    expect(
      codeThrown(() => {
        for (let i = 0; i < 120; i++) sum = evaluator.add(sum, sum);
      }),
    ).toBe('TOO_NOISY');
    expect(openEnvelope(sum, noble).bound.bound).toBeLessThanOrEqual(noiseCeiling(at.preset, 3));
  });

  it('evaluator: foreign keys, zero factors, missing Galois keys, empty results and garbage are refused', async () => {
    const a = encryptor.encrypt(scalar(2n));
    const { body, ...header } = openEnvelope(a, noble);
    const foreign = sealEnvelope({ ...header, keyId: keyId('66'.repeat(32)) }, body);
    expect(codeThrown(() => evaluator.add(a, foreign))).toBe('WRONG_KEY');
    expect(codeThrown(() => evaluator.mulPlain(a, scalar(0n)))).toBe('BAD_INPUT');
    expect(codeThrown(() => evaluator.rotate(a, 2))).toBe('BAD_INPUT');
    expect(codeThrown(() => evaluator.rotate(a, 0))).toBe('BAD_INPUT');
    expect(codeThrown(() => evaluator.sub(a, a))).toBe('BAD_INPUT');
    expect(codeThrown(() => evaluator.add(a, new Uint8Array(9)))).toBe('BAD_ENCODING');
    const bad = { relinKeys: at.bytes.publicKey };
    expect(await codeRejected(() => Evaluator.create(at.preset, at.keyId, bad))).toBe('BAD_ENCODING');
  });
});
