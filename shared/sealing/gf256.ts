/**
 * GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197 section 4), without tables: operands may be secret, and neither
 * branch nor index depends on them.
 */
const REDUCTION = 0x1b;

export function multiply(a: number, b: number): number {
  let product = 0;
  let x = a;
  for (let bit = 0; bit < 8; bit++) {
    product ^= x & -((b >> bit) & 1);
    x = ((x << 1) & 0xff) ^ (REDUCTION & -(x >> 7));
  }
  return product;
}

/** a^254; 0 for 0. */
export function invert(a: number): number {
  let power = a;
  let result = 1;
  for (let i = 0; i < 7; i++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}
