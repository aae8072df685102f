import { KmsError } from '../errors.ts';
import { type Digest, digest } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { toHex } from '../wire/bytes.ts';
import { type Codec, encode, fixedBytes, optional, struct } from '../wire/codec.ts';

/** Platform configuration registers of an allowed enclave image; 48 bytes each, never all zero. */
export interface Measurement {
  readonly pcr0: Uint8Array;
  readonly pcr1: Uint8Array;
  readonly pcr2: Uint8Array;
  /** Hash of the signing certificate, when the image is signed. */
  readonly pcr8?: Uint8Array;
}

export const PCR_BYTES = 48;
const pcr = fixedBytes(PCR_BYTES);

const fields: Codec<Omit<Measurement, 'pcr8'> & { readonly pcr8: Uint8Array | undefined }> = struct({
  pcr0: pcr,
  pcr1: pcr,
  pcr2: pcr,
  pcr8: optional(pcr),
});

export const measurementCodec: Codec<Measurement> = {
  write: (out, { pcr0, pcr1, pcr2, pcr8 }) => fields.write(out, { pcr0, pcr1, pcr2, pcr8 }),
  read(from) {
    const { pcr8, ...others } = fields.read(from);
    return pcr8 === undefined ? others : { ...others, pcr8 };
  },
};

/** SHA-256 of the canonical encoding: what stands for a measurement where there is room for 32 bytes. */
export function measurementDigest(hashes: Hashes, measurement: Measurement): Digest {
  return digest(toHex(hashes.sha256(encode(measurementCodec, measurement))));
}

/** Register by name, those that are stated. */
export function registersOf({
  pcr0,
  pcr1,
  pcr2,
  pcr8,
}: Measurement): readonly (readonly [string, Uint8Array])[] {
  const always = [['pcr0', pcr0] as const, ['pcr1', pcr1] as const, ['pcr2', pcr2] as const];
  return pcr8 === undefined ? always : [...always, ['pcr8', pcr8] as const];
}

/** Equal texts: the same measurement. */
export function measurementName(measurement: Measurement): string {
  return registersOf(measurement)
    .map(([name, value]) => `${name}=${toHex(value)}`)
    .join(' ');
}

/** @throws {KmsError} BAD_INPUT: a register of zeros is what an enclave in debug mode shows */
export function checkMeasurement(measurement: Measurement): void {
  for (const [name, value] of registersOf(measurement)) {
    if (value.length !== PCR_BYTES) throw new KmsError('BAD_INPUT', `${name} has ${PCR_BYTES} bytes`);
    if (value.every((byte) => byte === 0)) {
      throw new KmsError('BAD_INPUT', `${name} is all zero: an enclave in debug mode is never allowed`);
    }
  }
}
