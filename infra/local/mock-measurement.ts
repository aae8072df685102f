import type { Measurement } from '../../shared/network/measurement.ts';

/** What mock enclaves claim to run: the same for all of them, and no image's. 48 bytes each. */
export const MOCK_MEASUREMENT: Measurement = {
  pcr0: new Uint8Array(48).fill(0x6d),
  pcr1: new Uint8Array(48).fill(0x6f),
  pcr2: new Uint8Array(48).fill(0x63),
};
