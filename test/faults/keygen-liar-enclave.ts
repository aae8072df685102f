import { boot } from '../../enclave/boot.ts';
import type { Residues } from '../../shared/math/ring.ts';
import { KeyShares } from '../../shared/protocol/keygen/key-shares.ts';

/**
 * A mock enclave that signs wrong shares of whatever a key generation opens first, and is honest otherwise. It lives with the tests:
 * the enclave itself has no switch for this, and no bundle contains it.
 */
const { firstRound } = KeyShares.prototype;
KeyShares.prototype.firstRound = function (element): Residues {
  return firstRound.call(this, element).map((word, i) => (i === 0 ? word ^ 1n : word));
};
await boot();
