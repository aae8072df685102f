import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../errors.ts';
import type { GaloisOption } from '../../fhe/galois.ts';
import { type Preset, presetFor } from '../../fhe/presets.ts';
import { concat } from '../../wire/bytes.ts';
import { commandCommitment, type GatewayCommand } from '../commitments.ts';
import { keyStates, mayMove, presetOfCode } from '../key-state.ts';
import type { GatewayContracts } from '../network-commitments.ts';
import type { ProvenChain } from '../proof/proven-chain.ts';
import { commandSlot, keySlot, phaseSlot, plainSlot, readKeySlot, slotNumbers } from '../slots.ts';
import type { Typed } from '../typed-data.ts';
import type { PermissionBlocks, PolicyContext } from './context.ts';
import { GatewayState, requireCommitment } from './network.ts';
import { type CommandPayload, commandKinds, decodePayload } from './payload.ts';

/** What a connector says of a command, untrusted. */
export interface CommandClaim {
  readonly contracts: GatewayContracts;
  readonly command: GatewayCommand;
}

/** What the node is to do, and to sign once it is done: a statement without what only the doing gives. */
export type CommandOperation =
  | {
      readonly kind: 'keyGeneration';
      readonly preset: Preset;
      readonly galois: GaloisOption;
      readonly statement: Omit<Typed<'KeyGeneration'>, 'keyId' | 'recordDigest'>;
    }
  | {
      readonly kind: 'crsGeneration';
      readonly statement: Omit<Typed<'CrsGeneration'>, 'crsId' | 'contributors' | 'digest'>;
    }
  | { readonly kind: 'switchingKey'; readonly statement: Omit<Typed<'SwitchingKey'>, 'digest'> }
  | {
      readonly kind: 'epochChange';
      /** 32 bytes each. */
      readonly keys: readonly Uint8Array[];
      readonly statement: Omit<Typed<'EpochChange'>, 'party' | 'served' | 'confirmed'>;
    }
  | { readonly kind: 'lifecycle'; readonly statement: Typed<'LifecycleTransition'> }
  | { readonly kind: 'backup'; readonly statement: Omit<Typed<'Backup'>, 'party' | 'digest'> }
  | {
      readonly kind: 'recovery';
      /** 32 bytes each. */
      readonly keys: readonly Uint8Array[];
      readonly statement: Typed<'Recovery'>;
    };

export interface CommandPermission {
  readonly commandId: bigint;
  readonly operation: CommandOperation;
  /** Unix, seconds of the gateway chain. */
  readonly expiresAt: bigint;
  readonly blocks: PermissionBlocks;
}

const REQUESTED = 1n;
const galoisOptions: readonly GaloisOption[] = ['none', 'sum', 'all'];

/**
 * Whether the node may do what operators commanded, and what exactly.
 * @throws {KmsError} NOT_PROVEN, REQUEST_OVER, WRONG_EPOCH, NOT_PERMITTED, STALE_HEAD, BAD_ENCODING, TOO_LARGE, UNKNOWN_PRESET
 */
export function permitCommand(
  context: PolicyContext,
  chain: ProvenChain,
  { contracts, command }: CommandClaim,
): CommandPermission {
  const gateway = GatewayState.prove(context, chain, contracts);
  const { id, expiresAt } = command;
  requireCommitment(gateway.keys(commandSlot(id)), commandCommitment(command), `this command ${id}`);
  if (gateway.keys(phaseSlot(id)) !== REQUESTED || gateway.timestamp > expiresAt) {
    throw new KmsError('REQUEST_OVER', `command ${id} is carried out or over`);
  }
  const payload = decodePayload(command.kind, command.payload);
  requireEpoch(context, gateway, command, payload);
  const operation = operationOf(context, gateway, command, payload);
  return { commandId: id, operation, expiresAt, blocks: { gateway: gateway.block } };
}

/** The committee of the command does it; an epoch change, the next committee too. */
function requireEpoch(
  { epoch: own }: PolicyContext,
  gateway: GatewayState,
  { epoch }: GatewayCommand,
  payload: CommandPayload,
): void {
  const isOurs = own === epoch || (payload.kind === 'epochChange' && own === payload.toEpoch);
  if (gateway.epoch !== epoch || !isOurs) {
    throw new KmsError('WRONG_EPOCH', `the command is for epoch ${epoch}, and epoch ${gateway.epoch} acts`);
  }
}

function operationOf(
  context: PolicyContext,
  gateway: GatewayState,
  command: GatewayCommand,
  payload: CommandPayload,
): CommandOperation {
  const { id: commandId, epoch } = command;
  if (command.kind <= commandKinds.switchingKey) requireNoEpochChange(gateway);
  switch (payload.kind) {
    case 'keyGeneration': {
      const { kind, preset: code } = payload;
      const preset = presetFor(context.networkId, presetOfCode(code).name);
      const galois = galoisOptions[payload.galois];
      if (galois === undefined) throw new KmsError('BAD_ENCODING', 'there are no such Galois keys');
      return { kind, preset, galois, statement: { commandId, preset: code, epoch } };
    }
    case 'crsGeneration':
      return { kind: payload.kind, statement: { commandId, size: payload.size, epoch } };
    case 'switchingKey': {
      const { kind, fromKey, toKey } = payload;
      return { kind, statement: { commandId, fromKey, toKey, epoch } };
    }
    case 'epochChange': {
      const { kind, keys, toEpoch } = payload;
      const statement = { commandId, fromEpoch: epoch, toEpoch, keysHash: keccak_256(concat(...keys)) };
      return { kind, keys, statement };
    }
    case 'lifecycle':
      return { kind: payload.kind, statement: transition(gateway, command, payload) };
    case 'backup': {
      const { kind, keyId, custodians } = payload;
      return { kind, statement: { commandId, keyId, epoch, custodians } };
    }
    case 'recovery': {
      const { kind, keys, ...of } = payload;
      return { kind, keys, statement: { commandId, epoch, ...of, keysHash: keccak_256(concat(...keys)) } };
    }
  }
}

/** Keys made meanwhile would be handed over by nobody. */
function requireNoEpochChange(gateway: GatewayState): void {
  if (gateway.keys(plainSlot(slotNumbers.Keys.epochChange)) !== 0n) {
    throw new KmsError('NOT_PERMITTED', 'the committee is changing; no key is made meanwhile');
  }
}

/** From the state that the chain has now; a key is destroyed by the one command that the chain names for it. */
function transition(
  gateway: GatewayState,
  { id: commandId, epoch }: GatewayCommand,
  { keyId, toState }: Extract<CommandPayload, { kind: 'lifecycle' }>,
): Typed<'LifecycleTransition'> {
  const { state: fromState, destroyedBy } = readKeySlot(gateway.keys(keySlot(keyId)));
  const expected = toState === keyStates.destroyed ? commandId : 0n;
  if (!mayMove(fromState, toState) || destroyedBy !== expected) {
    throw new KmsError(
      'NOT_PERMITTED',
      `a key in state ${fromState} does not go to ${toState} by this command`,
    );
  }
  return { commandId, keyId, fromState, toState, epoch };
}
