// Small distributions from keystream bytes.

/**
 * n values b mod 3 - 1 as i8, byte 255 skipped; returns the bytes read, or 0 when the stream ends first.
 * `out` has room for n bytes. Only the places of skipped bytes steer loop and addresses, never a value.
 */
export function ternary(out: usize, stream: usize, size: usize, n: usize): usize {
  let k: usize = 0;
  let at: usize = 0;
  while (k < n) {
    if (at == size) return 0;
    const b = <u32>load<u8>(stream + at++);
    store<u8>(out + k, b - ((b * 171) >> 9) * 3 - 1);
    k += <usize>((b + 1) >> 8) ^ 1;
  }
  return at;
}

/**
 * n centred binomial values, eta 21, as i8 from 6 bytes each: weight of bits 0..20 minus weight of bits
 * 24..44.
 */
export function cbd21(out: usize, stream: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++, stream += 6) {
    const low = load<u32>(stream) & 0x1fffff;
    const high = (<u32>load<u16>(stream, 3) | (<u32>load<u8>(stream, 5) << 16)) & 0x1fffff;
    store<u8>(out + i, popcnt(low) - popcnt(high));
  }
}
