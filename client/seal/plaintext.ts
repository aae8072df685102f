import type { Plaintext } from 'node-seal';
import { encodeValue, plainL1, type Value } from '../../shared/fhe/value.ts';
import type { SealRuntime } from './context.ts';

export interface EncodedValue {
  /** To be deleted by the caller. */
  readonly plaintext: Plaintext;
  /** Sum of the centred coefficients' absolute values. */
  readonly l1: bigint;
}

/** @throws {KmsError} BAD_INPUT for values that do not fit the preset */
export function sealPlaintext(runtime: SealRuntime, value: Value): EncodedValue {
  const { preset, seal, context, kernel } = runtime;
  const l1 = plainL1(preset, encodeValue(kernel, preset, value));
  // A scalar is the same value in every slot.
  const slots = new BigUint64Array(preset.degree);
  if (value.kind === 'scalar') slots.fill(value.value);
  else slots.set(value.values);
  using encoder = new seal.BatchEncoder(context);
  const plaintext = new seal.Plaintext();
  encoder.encode(slots, plaintext);
  return { plaintext, l1 };
}
