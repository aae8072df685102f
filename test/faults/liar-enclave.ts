import { boot } from '../../enclave/boot.ts';
import type { Decryptor } from '../../enclave/key-ring.ts';
import type { Residues } from '../../shared/math/ring.ts';
import { PartialDecryptor } from '../../shared/protocol/decryption/partial.ts';
import { directRoutes } from '../direct/routes.ts';

/**
 * A mock enclave that signs wrong partial decryptions and is honest otherwise. It lives with the tests: the enclave
 * itself has no switch for this, and no bundle contains it.
 */
await boot({
  furtherRoutes: directRoutes,
  makeDecryptor(kernel, of, preset, prss, transcript): Decryptor {
    const honest = new PartialDecryptor(kernel, of, preset, prss, transcript);
    const lie = (share: Residues): Residues =>
      share.map((word, i) => (i === 0 ? (word + 1n) % (honest.ring.primes[0] ?? 1n) : word));
    return {
      preset: honest.preset,
      ring: honest.ring,
      partial: (task) => lie(honest.partial(task)),
      scalars: (tasks) => honest.scalars(tasks).map(lie),
    };
  },
});
