import { toHex } from '../../wire/bytes.ts';
import {
  accessSlot,
  answerSlot,
  ciphertextSlot,
  commandSlot,
  enrolmentSlot,
  factsSlot,
  hostChainSlot,
  keySlot,
  memberSlot,
  oracleSlot,
  permitNonceSlot,
  phaseSlot,
  plainSlot,
  remoteAccessSlot,
  requestSlot,
  slotNumbers,
} from '../slots.ts';
import { numberOf } from '../word.ts';
import type { CommandClaim } from './command.ts';
import type { TrustedGateway } from './context.ts';
import { commandKinds, decodePayload } from './payload.ts';
import type { PublicDecryptionClaim } from './public-decryption.ts';
import { EVERYBODY, type RequestClaim } from './request.ts';
import type { UserDecryptionClaim } from './user-decryption.ts';

/**
 * Slots of one account that a permission needs proven: what a connector asks of `eth_getProof`, at one block of each chain. It may
 * leave none out; more than these only cost bytes.
 */
export interface NeededSlots {
  readonly chainId: bigint;
  readonly address: Uint8Array;
  readonly slots: readonly Uint8Array[];
}

type Where = Pick<TrustedGateway, 'chainId' | 'registry'>;

export function evidenceForPublicDecryption(
  gateway: Where,
  claim: PublicDecryptionClaim,
): readonly NeededSlots[] {
  const { host, request, oracleRequest } = claim;
  const access = request.handles.map((handle) => accessSlot(handle, EVERYBODY));
  const asked = oracleRequest === undefined ? [] : [oracleSlot(oracleRequest.id)];
  return merged([
    ...forRequest(gateway, claim),
    on(host.chainId, host.accessControl, access),
    on(host.chainId, host.oracle, asked),
  ]);
}

export function evidenceForUserDecryption(
  gateway: Where,
  claim: UserDecryptionClaim,
): readonly NeededSlots[] {
  const { host, request, permit, contracts } = claim;
  const accounts = [permit.user, permit.context, EVERYBODY];
  const access = request.handles.flatMap((handle) => accounts.map((account) => accessSlot(handle, account)));
  return merged([
    ...forRequest(gateway, claim),
    on(gateway.chainId, contracts.decryptions, [permitNonceSlot(permit.user)]),
    on(host.chainId, host.accessControl, access),
  ]);
}

export function evidenceForTransfer(gateway: Where, claim: RequestClaim): readonly NeededSlots[] {
  const { host, request } = claim;
  const destination = numberOf(request.reference);
  const access = request.handles.map((handle) => remoteAccessSlot(handle, destination, request.consumer));
  return merged([...forRequest(gateway, claim), on(host.chainId, host.accessControl, access)]);
}

/** @throws {KmsError} BAD_ENCODING, TOO_LARGE for a payload that no node reads */
export function evidenceForCommand(
  gateway: Where,
  { contracts, command }: CommandClaim,
): readonly NeededSlots[] {
  const payload = decodePayload(command.kind, command.payload);
  const makesKeys = command.kind <= commandKinds.switchingKey;
  const keys = [
    commandSlot(command.id),
    phaseSlot(command.id),
    ...(makesKeys ? [plainSlot(slotNumbers.Keys.epochChange)] : []),
    ...(payload.kind === 'lifecycle' ? [keySlot(payload.keyId)] : []),
  ];
  return merged([
    on(gateway.chainId, gateway.registry, networkSlots()),
    on(gateway.chainId, contracts.keys, keys),
  ]);
}

/** @param parties of the epoch */
export function evidenceForMembers(
  { chainId, registry }: Where,
  epoch: bigint,
  parties: readonly number[],
): readonly NeededSlots[] {
  const members = parties.flatMap((party) => [memberSlot(epoch, party), enrolmentSlot(epoch, party)]);
  return merged([on(chainId, registry, [...networkSlots(), ...members])]);
}

function forRequest({ chainId, registry }: Where, claim: RequestClaim): readonly NeededSlots[] {
  const { contracts, host, request } = claim;
  const { id, keyId, handles } = request;
  return [
    on(chainId, registry, [...networkSlots(), hostChainSlot(host.chainId)]),
    on(chainId, contracts.decryptions, [requestSlot(id), answerSlot(id)]),
    on(chainId, contracts.keys, [keySlot(keyId)]),
    on(chainId, contracts.ciphertexts, handles.map(ciphertextSlot)),
    on(host.chainId, host.compute, handles.map(factsSlot)),
  ];
}

function networkSlots(): readonly Uint8Array[] {
  const { networkId, contractsHash, currentEpoch } = slotNumbers.Registry;
  return [networkId, contractsHash, currentEpoch].map(plainSlot);
}

function on(chainId: bigint, address: Uint8Array, slots: readonly Uint8Array[]): NeededSlots {
  return { chainId, address, slots };
}

/** Each account once, without those of which nothing is needed. */
function merged(all: readonly NeededSlots[]): readonly NeededSlots[] {
  const byAccount = new Map<string, NeededSlots>();
  for (const { chainId, address, slots } of all) {
    if (slots.length === 0) continue;
    const name = `${chainId} ${toHex(address)}`;
    const before = byAccount.get(name)?.slots ?? [];
    const unique = new Map([...before, ...slots].map((slot) => [toHex(slot), slot]));
    byAccount.set(name, on(chainId, address, [...unique.values()]));
  }
  return [...byAccount.values()];
}
