import { boot } from '../../enclave/boot.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { labIssuer } from './evidence.ts';

/**
 * A node of a lab network that is an ordinary process: the emulated processor is too slow for more than one machine. Run
 * under the condition `kms-lab`: it pins what the lab build pins, and its security module is an imitation under the lab's
 * root, whose private key is public. No bundle contains this.
 */
await boot({}, async () => openMockPlatform({ root: await labIssuer() }));
