import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ROOTS } from '../../shared/attestation/roots/lab.ts';
import { MOCK_MEASUREMENT } from '../../shared/attestation/roots/mock.ts';
import { measure } from '../eif/pcr.ts';
import { readEif } from '../eif/reader.ts';
import { imageFiles } from '../image/build.ts';
import { labTiming } from '../image/terms.ts';
import { LocalNetwork } from '../local/network.ts';
import type { UpOptions } from '../local/network-options.ts';

/** The party whose enclave is the real image. */
export const MACHINE_PARTY = 1;
const SOFTWARE_ENTRY = fileURLToPath(new URL('software-enclave.ts', import.meta.url));
/** Emulated processors are 15 to 80 times slower. */
const START_TIMEOUT_MS = 240_000;

/**
 * A lab network on this machine: one node is the lab build of the image in an emulated machine, the others are processes
 * under the lab's root. With a gateway, unless told otherwise.
 */
export function upLabNetwork(
  options: UpOptions,
  image: string = imageFiles('lab').eif,
): Promise<LocalNetwork> {
  const [root] = ROOTS;
  if (root === undefined) throw new Error('there is no lab root');
  const measured = measure(readEif(new Uint8Array(readFileSync(image))));
  return LocalNetwork.up({
    ...{ name: 'lab', gateway: true, entry: SOFTWARE_ENTRY, startTimeoutMs: START_TIMEOUT_MS, ...labTiming },
    ...options,
    images: new Map([[MACHINE_PARTY, image]]),
    build: { root, measurementOf: (party) => (party === MACHINE_PARTY ? measured : MOCK_MEASUREMENT) },
  });
}
