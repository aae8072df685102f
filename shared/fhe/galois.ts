import type { Preset } from './presets.ts';

/** Which Galois keys a key has: none, those that sum all slots, or all of SEAL's default set. */
export type GaloisOption = 'none' | 'sum' | 'all';

/**
 * Galois elements g of an option, ascending. Row rotation by k slots is 3^k mod 2N (its inverse for the other
 * direction), the column swap 2N - 1. `sum`: rotations by 1, 2, 4 .. N/4 and the swap, which add every slot
 * into every slot; `all`: both directions of every power of two, SEAL's get_elts_all, from which any rotation
 * is composed.
 */
export function galoisElements(preset: Pick<Preset, 'degree'>, option: GaloisOption): readonly number[] {
  if (option === 'none') return [];
  const order = 2 * preset.degree;
  const elements = new Set<number>([order - 1]);
  // 3^(N/2) = 1 modulo 2N, so 3^-k = 3^(N/2 - k).
  for (let step = 1; step < preset.degree / 2; step *= 2) {
    elements.add(powerOfThree(step, order));
    if (option === 'all') elements.add(powerOfThree(preset.degree / 2 - step, order));
  }
  return [...elements].sort((a, b) => a - b);
}

/** Galois element of a row rotation by `steps` slots to the left (negative: to the right). */
export function rotationElement(preset: Pick<Preset, 'degree'>, steps: number): number {
  const slots = preset.degree / 2;
  return powerOfThree(((steps % slots) + slots) % slots, 2 * preset.degree);
}

function powerOfThree(exponent: number, order: number): number {
  let result = 1;
  for (let i = 0; i < exponent; i++) result = (result * 3) % order;
  return result;
}
