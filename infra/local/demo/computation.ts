import { randomInt } from 'node:crypto';
import { KmsError } from '../../../shared/errors.ts';
import { DEFAULT_PRESET, presetByName } from '../../../shared/fhe/presets.ts';
import type { Value } from '../../../shared/fhe/value.ts';

export const PRESET = presetByName(DEFAULT_PRESET);

/** (a + b) * c of random numbers or vectors: the plaintexts are known here, and nowhere else until they are decrypted. */
export interface Computation {
  readonly operands: readonly Value[];
  readonly expected: Value;
}

export function computation(kind: Value['kind']): Computation {
  const [a, b, c] = [randomValue(kind), randomValue(kind), randomValue(kind)];
  const p = PRESET.plainModulus;
  const [bs, cs] = [wordsOf(b), wordsOf(c)];
  const result = wordsOf(a).map((x, i) => ((x + bs[i]!) * cs[i]!) % p);
  return { operands: [a, b, c], expected: asValue(kind, result) };
}

export function randomValue(kind: Value['kind']): Value {
  const count = kind === 'scalar' ? 1 : PRESET.degree;
  const words = BigUint64Array.from({ length: count }, () => BigInt(randomInt(Number(PRESET.plainModulus))));
  return asValue(kind, words);
}

/** @throws {KmsError} INTERNAL if it is another */
export function expectValue(value: Value, expected: Value): void {
  const isSame = value.kind === expected.kind && wordsOf(value).join() === wordsOf(expected).join();
  if (!isSame) throw new KmsError('INTERNAL', 'the decrypted value is wrong');
}

function wordsOf(value: Value): BigUint64Array {
  return value.kind === 'scalar' ? BigUint64Array.of(value.value) : value.values;
}

function asValue(kind: Value['kind'], words: BigUint64Array): Value {
  return kind === 'scalar' ? { kind, value: words[0]! } : { kind, values: words };
}
