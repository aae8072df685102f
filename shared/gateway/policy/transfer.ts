import { KmsError } from '../../errors.ts';
import { readHandle } from '../handle.ts';
import { readAccess, remoteAccessSlot } from '../slots.ts';
import type { Typed } from '../typed-data.ts';
import { numberOf } from '../word.ts';
import type { PolicyContext } from './context.ts';
import {
  openRequest,
  type ProvenChains,
  type RequestClaim,
  type RequestPermission,
  requestKinds,
} from './request.ts';

export interface TransferPermission extends RequestPermission {
  /** Complete: nothing is decrypted for it. */
  readonly statement: Typed<'HandleTransfer'>;
}

/**
 * Whether the node may tell another chain that an account there was granted a handle: the handle's own chain says so.
 * @throws {KmsError} what openRequest() throws, NOT_PERMITTED
 */
export function permitTransfer(
  context: PolicyContext,
  chains: ProvenChains,
  claim: RequestClaim,
): TransferPermission {
  const { request } = claim;
  const { host, permission } = openRequest(context, chains, claim, requestKinds.transfer);
  const { ciphertexts } = permission;
  if (ciphertexts.length !== 1) throw new KmsError('NOT_PERMITTED', 'a transfer is of one handle');
  const { handle, bound } = ciphertexts[0]!;
  const origin = request.hostChainId;
  if (readHandle(handle).chainId !== origin) {
    throw new KmsError('NOT_PERMITTED', 'only the chain of its origin grants a handle to others');
  }
  const destinationChainId = numberOf(request.reference);
  const slot = remoteAccessSlot(handle, destinationChainId, request.consumer);
  if (!readAccess(host.accessControl(slot)).isAllowed) {
    throw new KmsError('NOT_PERMITTED', 'the host chain does not grant the handle to that account');
  }
  return {
    ...permission,
    statement: {
      requestId: request.id,
      handle,
      originChainId: origin,
      destinationChainId,
      account: request.consumer,
      keyId: request.keyId,
      kind: claim.ciphertexts[0]!.ciphertext.kind,
      level: bound.level,
      bound: bound.bound,
      epoch: context.epoch,
    },
  };
}
