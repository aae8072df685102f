import { Code, ConnectError } from '@connectrpc/connect';
import { type ErrorCode, KmsError } from '../../shared/errors.ts';
import { FaultSchema } from '../../shared/wire/generated/kms/v1/node_pb.js';

/** gRPC status and the fixed text of each code. What really happened stays inside the enclave. */
const FACES: { readonly [C in ErrorCode]: readonly [Code, string] } = {
  BAD_ENCODING: [Code.InvalidArgument, 'the bytes are not a canonical encoding'],
  BAD_INPUT: [Code.InvalidArgument, 'the request is not acceptable'],
  BAD_SIGNATURE: [Code.InvalidArgument, 'a signature is not valid'],
  BAD_GENESIS: [Code.FailedPrecondition, 'not a genesis that this node accepts'],
  BAD_CONFIGURATION: [Code.FailedPrecondition, 'not an acceptable next configuration'],
  CONFLICT: [Code.FailedPrecondition, 'configurations conflict; the node has stopped'],
  BAD_PEER: [Code.Unauthenticated, 'not a member of this network'],
  BAD_ATTESTATION: [Code.Unauthenticated, 'the attestation is not acceptable'],
  NOT_PROVEN: [Code.FailedPrecondition, 'the evidence does not show what the chain is said to hold'],
  NOT_PERMITTED: [Code.PermissionDenied, 'the chain does not permit it'],
  REQUEST_OVER: [Code.FailedPrecondition, 'the request is answered or over'],
  WRONG_EPOCH: [Code.FailedPrecondition, 'it is for the committee of another epoch'],
  TOO_LARGE: [Code.OutOfRange, 'the request is too large'],
  TOO_NOISY: [Code.FailedPrecondition, 'the ciphertext may be too noisy to decrypt'],
  UNKNOWN_KEY: [Code.NotFound, 'no such key'],
  UNKNOWN_PRESET: [Code.NotFound, 'no such preset'],
  WRONG_KEY: [Code.InvalidArgument, 'the ciphertext belongs to another key'],
  WRONG_LEVEL: [Code.InvalidArgument, 'the ciphertext is not at a level that is decrypted'],
  NOT_ENOUGH_PARTIES: [Code.Unavailable, 'too few parties answered; repeat the request later'],
  SETUP_ABORTED: [Code.Aborted, 'key setup failed; repeat it under a new request id'],
  SESSION_CLOSED: [Code.FailedPrecondition, 'the session is closed'],
  NOT_DECODABLE: [Code.Unavailable, 'the shares received do not determine a value'],
  STORE_FAILED: [Code.Internal, 'the sealed store failed'],
  STALE_HEAD: [Code.Unavailable, 'the chain shows no recent block; repeat the request later'],
  KMS_REFUSED: [Code.FailedPrecondition, "the cloud's key service refuses"],
  KMS_UNAVAILABLE: [Code.Unavailable, "the cloud's key service does not answer"],
  KMS_POLICY: [Code.FailedPrecondition, "the policy of the node's cloud key is not acceptable"],
  UNAVAILABLE: [Code.Unavailable, 'the node or a link is down'],
  TIMEOUT: [Code.DeadlineExceeded, 'timed out'],
  BUSY: [Code.ResourceExhausted, 'the node is busy; repeat the request later'],
  INTERNAL: [Code.Internal, 'internal error'],
};

/** What of an error may leave the enclave: code, provable culprits, missing parties. */
export function toFault(error: unknown): ConnectError {
  const known = error instanceof KmsError ? error : new KmsError('INTERNAL', 'internal error');
  const [status, text] = FACES[known.code];
  const value = { code: known.code, culprits: [...known.culprits], missing: [...missingOf(known)] };
  return new ConnectError(text, status, undefined, [{ desc: FaultSchema, value }]);
}

/** Parties that did not answer, on errors that know them. */
function missingOf(error: KmsError): readonly number[] {
  const missing: unknown = 'missing' in error ? error.missing : undefined;
  if (!Array.isArray(missing)) return [];
  return missing.filter((party): party is number => Number.isInteger(party) && party > 0);
}
