import { KmsError } from '../../errors.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { typedDigest } from '../eip712.ts';
import { permitNonceSlot } from '../slots.ts';
import type { Typed } from '../typed-data.ts';
import type { PolicyContext } from './context.ts';
import type { GatewayState } from './network.ts';
import {
  openRequest,
  type ProvenChains,
  type RequestClaim,
  type RequestPermission,
  requestKinds,
  requireAccess,
} from './request.ts';

export interface UserDecryptionClaim extends RequestClaim {
  readonly permit: Typed<'UserDecryptionRequest'>;
}

export interface UserDecryptionPermission extends RequestPermission {
  /** Hash of the X-Wing key that the share is sealed to. */
  readonly publicKeyHash: Uint8Array;
  /** To be signed with the party and the digest of its share. */
  readonly statement: Omit<Typed<'UserDecryptionShare'>, 'party' | 'shareDigest'>;
}

/**
 * Whether the node may decrypt for one user: the user's permit is good now, and the host chain grants every handle both to the user
 * and to the application that the permit names.
 * @throws {KmsError} what openRequest() throws, NOT_PERMITTED
 */
export function permitUserDecryption(
  context: PolicyContext,
  chains: ProvenChains,
  claim: UserDecryptionClaim,
): UserDecryptionPermission {
  const { request, permit } = claim;
  const { gateway, host, permission } = openRequest(context, chains, claim, requestKinds.user);
  requirePermit(context, gateway, claim);
  requireAccess(host, request.handles, permit.user);
  requireAccess(host, request.handles, permit.context);
  const { id: requestId, hostChainId: destinationChainId, publicKeyHash, keyId, keyState, handles } = request;
  const of = { requestId, destinationChainId, user: permit.user, publicKeyHash, keyId, keyState };
  return {
    ...permission,
    expiresAt: earlier(permit.validUntil, permission.expiresAt),
    publicKeyHash,
    statement: { ...of, epoch: context.epoch, handles },
  };
}

/**
 * The gateway checked the signature, by key or by asking the wallet, when the request came; that no storage could prove again.
 * What can change since, validity and nonce, is checked here.
 */
function requirePermit(
  { gateway: { chainId, registry } }: PolicyContext,
  gateway: GatewayState,
  { request, permit }: UserDecryptionClaim,
): void {
  const digest = typedDigest({ gatewayChainId: chainId, registry }, 'UserDecryptionRequest', permit);
  if (!equalBytes(digest, request.reference)) {
    throw new KmsError('NOT_PROVEN', "the permit is not the request's");
  }
  const isSame =
    equalBytes(permit.user, request.consumer) &&
    equalBytes(permit.publicKeyHash, request.publicKeyHash) &&
    permit.hostChainId === request.hostChainId;
  if (!isSame) throw notPermitted('is for another user, key or chain than the request');
  if (request.signedBy === 0) throw notPermitted('was signed by nobody');
  const isDelegated = permit.delegate.some((byte) => byte !== 0);
  if (isDelegated && !equalBytes(permit.delegate, request.payer))
    throw notPermitted('names another delegate');
  if (gateway.timestamp < permit.validFrom || gateway.timestamp > permit.validUntil) {
    throw notPermitted('is not valid now');
  }
  if (gateway.decryptions(permitNonceSlot(permit.user)) !== permit.nonce) throw notPermitted('is revoked');
}

function earlier(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

function notPermitted(what: string): KmsError {
  return new KmsError('NOT_PERMITTED', `the permit ${what}`);
}
