import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeCpio } from '../../../infra/eif/cpio.ts';
import { readCpio } from '../../../infra/eif/cpio-reader.ts';
import { describeImage } from '../../../infra/eif/describe.ts';
import { listingOf } from '../../../infra/eif/listing.ts';
import { decodeMetadata, encodeMetadata } from '../../../infra/eif/metadata.ts';
import { imageRegister } from '../../../infra/eif/pcr.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { signRegister } from '../../../infra/eif/signature.ts';
import { readSignatureSection, writeSignatureSection } from '../../../infra/eif/signature-section.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { KmsError } from '../../../shared/errors.ts';
import { equalBytes } from '../../../shared/wire/bytes.ts';
import { withChecksum } from '../../oracle/eif.ts';
import { applicationEntries, metadata, signer, smallImage } from '../../unit/eif/fixture.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const unsigned = smallImage();
const { certificate, key } = await signer();
const section = writeSignatureSection(signRegister(imageRegister(unsigned), certificate, key));
const image = writeEif({ ...unsigned, signature: section });

const decoders: readonly {
  readonly name: string;
  readonly valid: Uint8Array;
  readonly codes: readonly string[];
  readonly recode: (bytes: Uint8Array) => Uint8Array;
}[] = [
  { name: 'image', valid: image, codes: ['BAD_ENCODING', 'TOO_LARGE'], recode: readImage },
  {
    name: 'image with a right checksum',
    valid: image,
    codes: ['BAD_ENCODING', 'TOO_LARGE'],
    recode: (bytes) =>
      bytes.length < 548 ? readImage(bytes) : restored(bytes, readImage(withChecksum(bytes))),
  },
  {
    name: 'archive',
    valid: writeCpio(applicationEntries),
    codes: ['BAD_ENCODING'],
    recode: (bytes) => writeCpio(readCpio(bytes)),
  },
  {
    name: 'signature section',
    valid: section,
    codes: ['BAD_ENCODING'],
    recode: (bytes) => writeSignatureSection(readSignatureSection(bytes)),
  },
  {
    name: 'metadata',
    valid: encodeMetadata(metadata),
    codes: ['BAD_ENCODING'],
    // Names may stand in another order than ours.
    recode: (bytes) => {
      const read = decodeMetadata(bytes);
      expect(decodeMetadata(encodeMetadata(read))).toEqual(read);
      return bytes;
    },
  },
];

/** Whatever is read can be listed, and described unless its signature is false. */
function readImage(bytes: Uint8Array): Uint8Array {
  const read = readEif(bytes);
  expect(listingOf(read).ramdisks).toHaveLength(read.ramdisks.length);
  try {
    expect(describeImage(read)).toMatchObject({ EifVersion: 4 });
  } catch (error) {
    if (!(error instanceof KmsError) || error.code !== 'BAD_SIGNATURE') throw error;
  }
  return writeEif(read);
}

/** With the checksum that the damaged file had. */
function restored(original: Uint8Array, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(original.subarray(544, 548), 544);
  return copy;
}

/** Either these bytes are the one encoding of what they mean, or they are refused with the code. */
function expectStrict({ recode, codes }: (typeof decoders)[number], bytes: Uint8Array): void {
  try {
    expect(equalBytes(recode(bytes), bytes)).toBe(true);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(codes).toContain(error.code);
  }
}

describe.each(decoders)('$name from anybody', (decoder) => {
  it(`${decoder.name}: random bytes`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 800 }), (bytes) => expectStrict(decoder, bytes)),
      { numRuns },
    );
  });

  it(`${decoder.name}: damaged bytes`, () => {
    fc.assert(
      fc.property(damage, (wound) => expectStrict(decoder, damaged(decoder.valid, wound))),
      { numRuns },
    );
  });

  it(`${decoder.name}: one byte changed anywhere`, () => {
    fc.assert(
      fc.property(fc.nat(decoder.valid.length - 1), fc.nat(255), (at, value) =>
        expectStrict(decoder, decoder.valid.with(at, value)),
      ),
      { numRuns },
    );
  });

  it(`${decoder.name}: the valid one is read`, () => {
    expect(equalBytes(decoder.recode(decoder.valid), decoder.valid)).toBe(true);
  });
});
