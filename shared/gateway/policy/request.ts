import { KmsError } from '../../errors.ts';
import type { KeyId } from '../../ids.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type GatewayRequest, requestCommitment } from '../commitments.ts';
import type { GatewayContracts, HostChain } from '../network-commitments.ts';
import type { ProvenChain } from '../proof/proven-chain.ts';
import { accessSlot, answerSlot, readAccess, requestSlot } from '../slots.ts';
import { type ClaimedCiphertext, type PermittedCiphertext, permitCiphertext } from './ciphertext.ts';
import type { PermissionBlocks, PolicyContext } from './context.ts';
import { requireDecryptingKey } from './key.ts';
import { GatewayState, HostState, requireCommitment } from './network.ts';

/** Requests.Request.kind. */
export const requestKinds = { public: 1, user: 2, transfer: 3 } as const;

/** Account of AccessControl that stands for everybody. */
export const EVERYBODY: Uint8Array = new Uint8Array(20);

/** What a connector says of a request, all of it untrusted. */
export interface RequestClaim {
  readonly contracts: GatewayContracts;
  readonly host: HostChain;
  readonly request: GatewayRequest;
  /** In the order of the request's handles. */
  readonly ciphertexts: readonly ClaimedCiphertext[];
}

/** State of the two chains, proven by evidence. */
export interface ProvenChains {
  readonly gateway: ProvenChain;
  readonly host: ProvenChain;
}

/** What every permission holds. */
export interface RequestPermission {
  readonly requestId: bigint;
  readonly keyId: KeyId;
  /** In the order of the request's handles. */
  readonly ciphertexts: readonly PermittedCiphertext[];
  /** Unix, seconds of the gateway chain: later nobody takes the answer. */
  readonly expiresAt: bigint;
  readonly blocks: PermissionBlocks;
}

export interface OpenRequest {
  readonly gateway: GatewayState;
  readonly host: HostState;
  readonly permission: RequestPermission;
}

/**
 * What all requests have in common: the network, the request that nobody answered yet, the committee, the key, the ciphertexts. Who
 * may ask for them is for the caller.
 * @throws {KmsError} NOT_PROVEN, NOT_PERMITTED, REQUEST_OVER, STALE_HEAD, WRONG_EPOCH, UNKNOWN_KEY, WRONG_KEY, TOO_NOISY,
 * WRONG_LEVEL, BAD_INPUT for fields that do not fit their types
 */
export function openRequest(
  context: PolicyContext,
  chains: ProvenChains,
  { contracts, host: chain, request, ciphertexts }: RequestClaim,
  kind: number,
): OpenRequest {
  const gateway = GatewayState.prove(context, chains.gateway, contracts);
  requireCommitment(
    gateway.decryptions(requestSlot(request.id)),
    requestCommitment(request),
    `this request ${request.id}`,
  );
  if (request.kind !== kind) throw new KmsError('NOT_PERMITTED', 'the request is of another kind');
  if (gateway.decryptions(answerSlot(request.id)) !== 0n) throw over('is answered or expired');
  if (gateway.timestamp > request.expiresAt) throw over('has expired');
  if (gateway.epoch !== context.epoch) {
    throw new KmsError('WRONG_EPOCH', `epoch ${gateway.epoch} answers, not ${context.epoch}`);
  }
  const host = HostState.prove(context, gateway, chains.host, chain);
  if (request.hostChainId !== chain.chainId || !equalBytes(request.verifier, chain.verifier)) {
    throw new KmsError('NOT_PERMITTED', 'the request is for another host chain or another verifier there');
  }
  const key = requireDecryptingKey(context, gateway, request.keyId);
  if (ciphertexts.length !== request.handles.length) {
    throw new KmsError('NOT_PROVEN', 'each handle of a request has one ciphertext');
  }
  const permission: RequestPermission = {
    requestId: request.id,
    keyId: key.keyId,
    ciphertexts: request.handles.map((handle, i) =>
      permitCiphertext(gateway, host, key, handle, ciphertexts[i]!),
    ),
    expiresAt: request.expiresAt,
    blocks: { gateway: gateway.block, host: host.block },
  };
  return { gateway, host, permission };
}

/** As AccessControl.isAllowed: granted, or public. @throws {KmsError} NOT_PERMITTED, NOT_PROVEN */
export function requireAccess(host: HostState, handles: readonly Uint8Array[], account: Uint8Array): void {
  for (const handle of handles) {
    const isAllowed = [account, EVERYBODY].some(
      (who) => readAccess(host.accessControl(accessSlot(handle, who))).isAllowed,
    );
    if (!isAllowed) throw new KmsError('NOT_PERMITTED', 'the host chain does not grant a handle');
  }
}

function over(what: string): KmsError {
  return new KmsError('REQUEST_OVER', `the request ${what}`);
}
