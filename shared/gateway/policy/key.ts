import { KmsError } from '../../errors.ts';
import type { Preset } from '../../fhe/presets.ts';
import { type KeyId, keyId } from '../../ids.ts';
import { toHex } from '../../wire/bytes.ts';
import { decryptsIn, keyStates, presetCode } from '../key-state.ts';
import { keySlot, readKeySlot } from '../slots.ts';
import type { PolicyContext } from './context.ts';
import type { GatewayState } from './network.ts';

export interface DecryptingKey {
  readonly keyId: KeyId;
  readonly preset: Preset;
}

/**
 * A key that decrypts now by the chain's word, and that the node itself has not destroyed. From the moment its destruction is commanded it does not,
 * requests under way included.
 * @param id 32 bytes
 * @throws {KmsError} UNKNOWN_KEY, WRONG_KEY if the chain has it with another preset, NOT_PERMITTED, NOT_PROVEN
 */
export function requireDecryptingKey(
  context: PolicyContext,
  gateway: GatewayState,
  id: Uint8Array,
): DecryptingKey {
  const name = keyId(toHex(id));
  const known = context.keys.get(name);
  if (known === undefined) throw new KmsError('UNKNOWN_KEY', `this node has no share of key ${name}`);
  const { state, preset, destroyedBy } = readKeySlot(gateway.keys(keySlot(id)));
  if (preset !== presetCode(known.preset)) {
    throw new KmsError('WRONG_KEY', `the chain has key ${name} with another preset`);
  }
  // A node that missed an activation does not hold up a key that n - t others activated; one that destroyed it stays destroyed.
  const isDestroyed = known.state === keyStates.destroyed || destroyedBy !== 0n;
  if (!decryptsIn(state) || isDestroyed) {
    throw new KmsError('NOT_PERMITTED', `key ${name} does not decrypt`);
  }
  return { keyId: name, preset: known.preset };
}
