import fc from 'fast-check';

/** What happens to bytes on their way through a hostile sender. */
export interface Damage {
  readonly edits: readonly { readonly at: number; readonly value: number }[];
  /** Where the bytes are cut, as a fraction; 1: not at all. */
  readonly cut: number;
  readonly appended: Uint8Array;
  /** Four bytes of ff at this place: the largest length there is. */
  readonly hugeAt: number | undefined;
}

const place = fc.oneof({ weight: 4, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.nat(2 ** 24) });

/** Most edits fall on the first bytes, where tags and lengths are. */
export const damage: fc.Arbitrary<Damage> = fc.record({
  edits: fc.array(
    fc.record({ at: place, value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 64, 65, 127, 128, 255)) }),
    { maxLength: 4 },
  ),
  cut: fc.oneof(
    { weight: 3, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  ),
  appended: fc.oneof(
    { weight: 3, arbitrary: fc.constant(new Uint8Array(0)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  ),
  hugeAt: fc.option(place, { nil: undefined, freq: 4 }),
});

export function damaged(original: Uint8Array, { edits, cut, appended, hugeAt }: Damage): Uint8Array {
  const kept = Math.floor(cut * original.length);
  const bytes = new Uint8Array(kept + appended.length);
  bytes.set(original.subarray(0, kept));
  bytes.set(appended, kept);
  if (bytes.length === 0) return bytes;
  for (const { at, value } of edits) bytes[at % bytes.length] = value;
  if (hugeAt !== undefined) bytes.fill(255, hugeAt % bytes.length, (hugeAt % bytes.length) + 4);
  return bytes;
}
