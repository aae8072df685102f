import { Code, ConnectError } from '@connectrpc/connect';
import { type ErrorCode, KmsError } from '../shared/errors.ts';
import { MAX_PARTIES, type PartyId, partyId } from '../shared/ids.ts';
import { FaultSchema } from '../shared/wire/generated/kms/v1/node_pb.js';

/** What a node answered instead of a result. Culprits and missing parties are its word, not proven to the client. */
export interface Fault {
  readonly code: ErrorCode;
  readonly culprits: readonly PartyId[];
  readonly missing: readonly PartyId[];
}

/** What a failed call means when the node itself gave no Fault. */
const byTransport: Partial<Record<Code, ErrorCode>> = {
  [Code.Canceled]: 'TIMEOUT',
  [Code.DeadlineExceeded]: 'TIMEOUT',
  [Code.ResourceExhausted]: 'TOO_LARGE',
  [Code.Unavailable]: 'UNAVAILABLE',
};

/** Every code, with what to tell a person who has nothing but the code: nodes send no texts. */
const meanings: Readonly<Record<ErrorCode, string>> = {
  BAD_ENCODING: 'the bytes are not a canonical encoding',
  BAD_INPUT: 'the request is not acceptable',
  BAD_SIGNATURE: 'a signature is not valid',
  BAD_GENESIS: 'the genesis is not one that this node accepts',
  BAD_CONFIGURATION: "the configuration does not follow this network's last one",
  CONFLICT: 'two rival configurations of this network are signed; the node has stopped',
  BAD_PEER: 'what answered is not the node that the configuration names',
  BAD_ATTESTATION: 'what answered does not prove that it is an enclave of this network',
  NOT_PROVEN: 'the evidence does not show what the chain is said to hold',
  NOT_PERMITTED: 'the chain does not permit it',
  REQUEST_OVER: 'the request is answered or over',
  WRONG_EPOCH: 'it is for the committee of another epoch',
  TOO_LARGE: 'the message is too large',
  TOO_NOISY: 'the ciphertext may be too noisy to be decrypted safely',
  UNKNOWN_KEY: 'the network has no such key',
  UNKNOWN_PRESET: 'there is no such preset',
  WRONG_KEY: 'the ciphertext is of another key',
  WRONG_LEVEL: 'the ciphertext is of a level that is not decrypted',
  NOT_ENOUGH_PARTIES: 'too few parties answered in time',
  SETUP_ABORTED: 'key generation was aborted',
  SESSION_CLOSED: 'the session is over',
  NOT_DECODABLE: 'the shares do not determine a result',
  STORE_FAILED: 'a node could not use its store',
  STALE_HEAD: 'a node sees no recent block of a chain',
  KMS_REFUSED: "the cloud's key service refused a node",
  KMS_UNAVAILABLE: "a node could not reach the cloud's key service in time",
  KMS_POLICY: "the policy of a node's cloud key lets others use it",
  UNAVAILABLE: 'the node cannot be reached',
  TIMEOUT: 'the node did not answer in time',
  BUSY: 'the node has too much to do',
  INTERNAL: 'the node failed',
};

/** Reads a failed call: the Fault detail if the node gave one, else what the transport says. */
export function faultOf(error: unknown): Fault {
  if (error instanceof KmsError) return { code: error.code, culprits: error.culprits, missing: [] };
  const connect = ConnectError.from(error);
  const detail = connect.findDetails(FaultSchema)[0];
  if (detail === undefined)
    return { code: byTransport[connect.code] ?? 'INTERNAL', culprits: [], missing: [] };
  return {
    code: isErrorCode(detail.code) ? detail.code : 'INTERNAL',
    culprits: parties(detail.culprits),
    missing: parties(detail.missing),
  };
}

export function meaningOf(code: ErrorCode): string {
  return meanings[code];
}

export function listed(parties: readonly PartyId[]): string {
  return parties.length === 1 ? `party ${parties[0]}` : `parties ${parties.join(', ')}`;
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(meanings, text);
}

function parties(numbers: readonly number[]): PartyId[] {
  return numbers.filter((x) => x >= 1 && x <= MAX_PARTIES).map((x) => partyId(x));
}
