import { boot } from '../../enclave/boot.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { ROOTS } from '../../shared/attestation/roots/lab.ts';
import { labIssuer } from './evidence.ts';

/**
 * A node of a lab network that is an ordinary process: the emulated processor is too slow for more than one machine. Its
 * security module is an imitation under the lab's root, whose private key is public; no bundle contains this.
 */
const [root] = ROOTS;
if (root === undefined) throw new Error('there is no lab root');
const { nsm } = openMockPlatform({ root: await labIssuer() });
await boot({
  nsm,
  roots: ROOTS,
  head: undefined,
  build: { class: root.class, attestationRoot: root.sha256 },
});
