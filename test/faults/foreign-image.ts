import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { readEnclaveConfig } from '../../enclave/config.ts';
import { openLink } from '../../enclave/link/open.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import type { Link } from '../../shared/link.ts';

const other = (seed: number): Uint8Array => new Uint8Array(48).fill(seed);

/** The security module of a mock enclave of another image: it tells other registers than the network allows. */
export const { nsm: foreignNsm } = openMockPlatform({
  measurement: { pcr0: other(1), pcr1: other(2), pcr2: other(3) },
});

/** The link to the parent that this process was started with. */
export async function ownLink(): Promise<Link<Duplex>> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  return openLink((await readEnclaveConfig(values.config ?? '')).link);
}
