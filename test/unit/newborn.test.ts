import { expect, it } from 'vitest';
import { IDENTITY } from '../../enclave/identity.ts';
import { RESULT_SIGNER } from '../../enclave/membership/result-signer.ts';
import { Newborn } from '../../enclave/newborn.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { utf8 } from '../../shared/wire/bytes.ts';

it('newborn: what it was born with is erased once it is sealed, and its signers go on', () => {
  const newborn = new Newborn(systemRng);
  const state = newborn.firstState();
  const boot = newborn.useBootSeed((seed) => seed);
  const secrets = [state.get(IDENTITY)!, state.get(RESULT_SIGNER)!, boot];
  const message = utf8('before and after');
  const before = newborn.identity.sign(message);
  for (const secret of secrets) expect(secret.some((byte) => byte !== 0)).toBe(true);
  newborn[Symbol.dispose]();
  for (const secret of secrets) expect(secret.every((byte) => byte === 0)).toBe(true);
  expect(newborn.identity.sign(message)).toEqual(before);
  expect(`${newborn}${JSON.stringify(newborn)}`).toBe('[secret]"[secret]"');
});
