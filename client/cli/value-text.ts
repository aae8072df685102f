import type { Value } from '../../shared/fhe/value.ts';
import type { Arguments } from './arguments.ts';

/**
 * The value of --value or --vector; whether it fits the preset is checked when it is encrypted.
 * @throws {UsageError} unless exactly one of them is given, in decimal digits
 */
export function valueFrom(given: Arguments): Value {
  const [scalar, vector] = [given.text('value'), given.text('vector')];
  if (scalar !== undefined && vector === undefined)
    return { kind: 'scalar', value: numberFrom(given, scalar) };
  if (vector !== undefined && scalar === undefined) {
    return {
      kind: 'vector',
      values: BigUint64Array.from(vector.split(','), (text) => numberFrom(given, text)),
    };
  }
  return given.refuse('give either --value or --vector');
}

function numberFrom(given: Arguments, text: string): bigint {
  const trimmed = text.trim();
  if (!/^\d{1,18}$/.test(trimmed)) given.refuse(`'${text}' is not a non-negative whole number`);
  return BigInt(trimmed);
}

/** As JSON: a scalar's `value`, a vector's `values` without the zeros at its end. */
export function valueJson(value: Value): Readonly<Record<string, unknown>> {
  if (value.kind === 'scalar') return { kind: value.kind, value: Number(value.value) };
  const used = usedSlots(value.values);
  return { kind: value.kind, slots: value.values.length, values: [...used].map(Number) };
}

/** For a person: 42, or 1,2,3. */
export function valueLine(value: Value): string {
  if (value.kind === 'scalar') return `${value.value}`;
  const used = usedSlots(value.values);
  return used.length === 0 ? '0' : used.join(',');
}

function usedSlots(values: BigUint64Array): BigUint64Array {
  return values.slice(0, values.findLastIndex((value) => value !== 0n) + 1);
}
