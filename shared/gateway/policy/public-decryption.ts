import { KmsError } from '../../errors.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type GatewayRequest, type OracleRequest, oracleCommitment } from '../commitments.ts';
import { oracleSlot } from '../slots.ts';
import type { Typed } from '../typed-data.ts';
import type { PolicyContext } from './context.ts';
import { type HostState, requireCommitment } from './network.ts';
import {
  EVERYBODY,
  openRequest,
  type ProvenChains,
  type RequestClaim,
  type RequestPermission,
  requestKinds,
  requireAccess,
} from './request.ts';

export interface PublicDecryptionClaim extends RequestClaim {
  /** The request of the contract that asked; absent if nobody's contract did, and the request's reference is zero. */
  readonly oracleRequest?: OracleRequest | undefined;
}

export interface PublicDecryptionPermission extends RequestPermission {
  /** To be signed with the result, and with nothing else changed. */
  readonly statement: Omit<Typed<'PublicDecryption'>, 'result'>;
}

/**
 * Whether the node may decrypt for everybody: the host chain made every handle public, and where a contract asked, it asked for this.
 * @throws {KmsError} what openRequest() throws, NOT_PERMITTED
 */
export function permitPublicDecryption(
  context: PolicyContext,
  chains: ProvenChains,
  claim: PublicDecryptionClaim,
): PublicDecryptionPermission {
  const { request } = claim;
  const { host, permission } = openRequest(context, chains, claim, requestKinds.public);
  requireAccess(host, request.handles, EVERYBODY);
  if (request.reference.some((byte) => byte !== 0)) requireAsked(host, claim);
  return { ...permission, statement: publicStatement(request, context.epoch) };
}

/** What answers a request, but for its result. */
export function publicStatement(
  request: GatewayRequest,
  epoch: bigint,
): Omit<Typed<'PublicDecryption'>, 'result'> {
  const { id: requestId, hostChainId: destinationChainId, reference: hostRequest } = request;
  const { verifier, consumer, keyId, keyState, handles } = request;
  const of = { requestId, destinationChainId, verifier, consumer, hostRequest, keyId, keyState };
  return { ...of, epoch, handles };
}

/** Whoever relayed the request, it is the one of the contract on the host chain. */
function requireAsked(host: HostState, { request, oracleRequest: asked }: PublicDecryptionClaim): void {
  if (asked === undefined) throw new KmsError('NOT_PROVEN', "the oracle's request is missing");
  const commitment = oracleCommitment(asked);
  requireCommitment(host.oracle(oracleSlot(asked.id)), commitment, `this request ${asked.id} of the oracle`);
  const isSame =
    equalBytes(commitment, request.reference) &&
    equalBytes(asked.consumer, request.consumer) &&
    equalBytes(asked.keyId, request.keyId) &&
    asked.handles.length === request.handles.length &&
    asked.handles.every((handle, i) => equalBytes(handle, request.handles[i]!));
  if (!isSame)
    throw new KmsError('NOT_PERMITTED', 'the request is not what the contract on the host chain asked');
}
