/**
 * The kernel's exports (assembly/index.ts). Addresses are bytes, lengths n are residues, `record` is a
 * modulus record.
 */
export interface Calls {
  ntt(a: number, table: number, n: number, record: number): void;
  intt(a: number, table: number, n: number, record: number): void;
  twiddles(table: number, root: bigint, n: number, record: number): void;
  add(out: number, a: number, b: number, n: number, record: number): void;
  sub(out: number, a: number, b: number, n: number, record: number): void;
  mul(out: number, a: number, b: number, n: number, record: number): void;
  mulAcc(acc: number, a: number, b: number, n: number, record: number): void;
  scale(out: number, a: number, pair: number, n: number, record: number): void;
  combine(
    out: number,
    a: number,
    strideBytes: number,
    pairs: number,
    count: number,
    n: number,
    record: number,
  ): void;
  fromSigned(out: number, values: number, valueBytes: number, n: number, record: number): void;
  uniform(out: number, stream: number, n: number, record: number): void;
  firstUnreduced(a: number, n: number, record: number): number;
  firstDifference(a: number, b: number, n: number): number;
  maskTo(a: number, n: number, record: number): void;
  divideAndRound(out: number, a: number, top: number, constants: number, n: number, record: number): void;
  addFraction(fraction: number, a: number, constants: number, n: number, record: number): void;
  roundFraction(out: number, fraction: number, p: bigint, n: number): void;
  dot(out: number, a: number, b: number, n: number, record: number): void;
  constantCoefficient(out: number, a: number, b: number, n: number, record: number): void;
  wideAdd(
    acc: number,
    streams: number,
    strideBytes: number,
    count: number,
    numerators: number,
    groups: number,
    limbs: number,
    mask: number,
  ): void;
  wideCarry(acc: number, groups: number, limbs: number): void;
  wideFinish(
    out: number,
    acc: number,
    groups: number,
    limbs: number,
    constants: number,
    record: number,
  ): void;
  smallAdd(acc: number, values: number, numerator: bigint, n: number): void;
  smallFinish(out: number, acc: number, pair: number, n: number, record: number): void;
  ternary(out: number, stream: number, sizeBytes: number, n: number): number;
  cbd21(out: number, stream: number, n: number): void;
}
