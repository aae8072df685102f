import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Preset, presetByName } from '../../shared/fhe/presets.ts';
import { commandCommitment } from '../../shared/gateway/commitments.ts';
import { keyStates, presetCode } from '../../shared/gateway/key-state.ts';
import { commandKinds } from '../../shared/gateway/policy/payload.ts';
import { word } from '../../shared/gateway/word.ts';
import { keyId } from '../../shared/ids.ts';
import type { GaloisOption } from '../../shared/protocol/keygen/request.ts';
import { concat, fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { NetworkKey } from '../sdk/network-key.ts';
import { type CarriedOut, carryOut } from './commands.ts';
import type { GatewayContext } from './context.ts';
import { waitFor } from './waiting.ts';
import type { Wallet } from './wallet.ts';

export interface KeyWanted {
  /** As many as must agree; fewer, if others command the same at the same time. */
  readonly operators: readonly Wallet[];
  readonly preset: string;
  readonly galois: GaloisOption;
}

const galoisOptions: readonly GaloisOption[] = ['none', 'sum', 'all'];

/**
 * Has the nodes generate a key that nobody holds, and activates it; every host chain knows it then. The key is the one that n - t
 * nodes certified for exactly this command, whatever the chain's endpoint says.
 * @throws {KmsError} BAD_INPUT if the preset has an active key; what carryOut() throws; UNKNOWN_PRESET, TIMEOUT
 */
export async function generateKey(context: GatewayContext, wanted: KeyWanted): Promise<NetworkKey> {
  const preset = presetByName(wanted.preset);
  await requireNoActive(context, preset);
  const galois = galoisOptions.indexOf(wanted.galois);
  const made = await carryOut(context, wanted.operators, {
    kind: commandKinds.keyGeneration,
    payload: concat(word(BigInt(presetCode(preset))), word(BigInt(galois))),
    what: 'generate a key',
  });
  const key = await keyOf(context, wanted, made);
  await carryOut(context, wanted.operators, {
    kind: commandKinds.lifecycle,
    payload: concat(fromHex(key.id), word(BigInt(keyStates.active))),
    what: 'activate the key',
  });
  await everywhere(context, key);
  return key;
}

/** Before anybody works: the gateway would not activate it. */
async function requireNoActive({ gateway }: GatewayContext, preset: Preset): Promise<void> {
  const active = await read(gateway.keys, 'activeKeys', [presetCode(preset)]);
  if (BigInt(active) === 0n) return;
  throw new KmsError(
    'BAD_INPUT',
    `a preset has one active key, and that of ${preset.name} is ${active.slice(2)}: use it, or another preset`,
  );
}

/** The certified record, and that it was made for this command. */
async function keyOf(
  { kms }: GatewayContext,
  { preset, galois }: KeyWanted,
  { command, statement }: CarriedOut,
): Promise<NetworkKey> {
  // KeyGeneration: the key's id is its second word.
  const key = await kms.getKey(keyId(toHex(statement.subarray(32, 64))));
  const { request } = key.record;
  const isOurs =
    request.request === toHex(commandCommitment(command)) &&
    request.preset === preset &&
    request.galois === galois;
  if (!isOurs) throw new KmsError('WRONG_KEY', 'the endpoint names a key of another command');
  return key;
}

async function everywhere({ host, places, waiting }: GatewayContext, { id }: NetworkKey): Promise<void> {
  for (const { chainId } of places.hosts) {
    const { keyring } = await host(chainId);
    const awaited = {
      what: `chain ${chainId} learns that the key is active`,
      look: 'the key is made; is a relayer up?',
    };
    await waitFor(waiting, awaited, async () => {
      const { state } = await read(keyring, 'keys', [hexOf(fromHex(id))]);
      return state === keyStates.active ? true : undefined;
    });
  }
}
