import { boot } from '../../enclave/boot.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';

/**
 * A mock enclave of another image: its security module tells other registers than the network allows. It looks at no policy,
 * as an image of an attacker's making would not: what stops it is KMS, and the other nodes.
 */
const other = (seed: number): Uint8Array => new Uint8Array(48).fill(seed);
const { nsm } = openMockPlatform({ measurement: { pcr0: other(1), pcr1: other(2), pcr2: other(3) } });
await boot({ nsm });
