import { KmsError } from '../errors.ts';
import type { Digest } from '../ids.ts';
import { type Measurement, PCR_BYTES } from '../network/measurement.ts';
import { concat, equalBytes, fromHex } from '../wire/bytes.ts';

/** The register that names the network: extended and locked before the first connection. */
export const NETWORK_PCR = 16;

/** A measurement's registers and their places. */
const PLACES: Readonly<Record<keyof Measurement, number>> = { pcr0: 0, pcr1: 1, pcr2: 2, pcr8: 8 };
const NAMES = ['pcr0', 'pcr1', 'pcr2', 'pcr8'] as const;

/** Register := SHA-384(register || data). */
export async function extendedPcr(register: Uint8Array, data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-384', Uint8Array.from(concat(register, data))));
}

/** PCR16 of every enclave of a network: zeros, extended by the 32 bytes of its id. */
export function networkPcr(networkId: Digest): Promise<Uint8Array> {
  return extendedPcr(new Uint8Array(PCR_BYTES), fromHex(networkId));
}

/** What an image starts from, and what a debug-mode enclave reports for ever. */
export function isZero(register: Uint8Array): boolean {
  return register.every((byte) => byte === 0);
}

/** True iff the image's registers are there and none of them is all zero: no debug mode. */
export function isMeasured(pcrs: ReadonlyMap<number, Uint8Array>): boolean {
  return [PLACES.pcr0, PLACES.pcr1, PLACES.pcr2].every((place) => {
    const register = pcrs.get(place);
    return register !== undefined && !isZero(register);
  });
}

/** True iff every register that the measurement states has its value. */
export function matches(pcrs: ReadonlyMap<number, Uint8Array>, measurement: Measurement): boolean {
  return NAMES.every((name) => {
    const expected = measurement[name];
    const found = pcrs.get(PLACES[name]);
    return expected === undefined || (found !== undefined && equalBytes(found, expected));
  });
}

/** The image that these registers tell of: PCR8 belongs to it only if the image is signed. @throws {KmsError} BAD_INPUT */
export function measurementOf(pcrs: ReadonlyMap<number, Uint8Array>): Measurement {
  const [pcr0, pcr1, pcr2, pcr8] = NAMES.map((name) => pcrs.get(PLACES[name]));
  if (pcr0 === undefined || pcr1 === undefined || pcr2 === undefined) {
    throw new KmsError('BAD_INPUT', 'the registers of the image are not all there');
  }
  return pcr8 === undefined || isZero(pcr8) ? { pcr0, pcr1, pcr2 } : { pcr0, pcr1, pcr2, pcr8 };
}
