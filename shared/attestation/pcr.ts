import type { Digest } from '../ids.ts';
import type { Measurement } from '../network/configuration.ts';
import { concat, equalBytes, fromHex } from '../wire/bytes.ts';
import { PCR_BYTES } from './document.ts';

/** The register that names the network: extended and locked before the first connection. */
export const NETWORK_PCR = 16;

/** The registers of a measurement and their places. */
const MEASURED = { pcr0: 0, pcr1: 1, pcr2: 2, pcr8: 8 } as const;

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
  return [MEASURED.pcr0, MEASURED.pcr1, MEASURED.pcr2].every((index) => {
    const register = pcrs.get(index);
    return register !== undefined && !isZero(register);
  });
}

/** The registers a measurement fixes. */
export function registersOf(measurement: Measurement): readonly (readonly [number, Uint8Array])[] {
  const { pcr0, pcr1, pcr2, pcr8 } = measurement;
  const always: readonly (readonly [number, Uint8Array])[] = [
    [MEASURED.pcr0, pcr0],
    [MEASURED.pcr1, pcr1],
    [MEASURED.pcr2, pcr2],
  ];
  return pcr8 === undefined ? always : [...always, [MEASURED.pcr8, pcr8]];
}

/** True iff every register that the measurement fixes has its value. */
export function matches(pcrs: ReadonlyMap<number, Uint8Array>, measurement: Measurement): boolean {
  return registersOf(measurement).every(([index, expected]) => {
    const found = pcrs.get(index);
    return found !== undefined && equalBytes(found, expected);
  });
}
