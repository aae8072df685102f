import { codeOf, type ErrorCode } from '../../shared/errors.ts';
import { UsageError } from './arguments.ts';

/** What the process answers with; part of the command line's interface. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  badInput: 3,
  unavailable: 4,
  refused: 5,
  interrupted: 130,
} as const;

type Outcome = keyof typeof exitCodes;

/** For the help text. */
export const exitCodeMeanings: Readonly<Record<Outcome, string>> = {
  ok: 'done',
  internal: 'a fault of this program or of this machine',
  usage: 'wrong command, option or argument',
  badInput: 'a file, value, key or preset that cannot be used',
  unavailable: 'too few parties answered, or none could be reached; nothing was half-done, try again',
  refused:
    'refused for security: a signature, an identity, a configuration, a permission, or too noisy a ciphertext',
  interrupted: 'stopped by Ctrl-C',
};

const outcomes: Readonly<Record<ErrorCode, Outcome>> = {
  BAD_ENCODING: 'badInput',
  BAD_INPUT: 'badInput',
  BAD_SIGNATURE: 'refused',
  BAD_GENESIS: 'refused',
  BAD_CONFIGURATION: 'refused',
  CONFLICT: 'refused',
  BAD_PEER: 'refused',
  BAD_ATTESTATION: 'refused',
  NOT_PROVEN: 'refused',
  NOT_PERMITTED: 'refused',
  REQUEST_OVER: 'refused',
  WRONG_EPOCH: 'unavailable',
  TOO_LARGE: 'badInput',
  TOO_NOISY: 'refused',
  UNKNOWN_KEY: 'badInput',
  UNKNOWN_PRESET: 'badInput',
  WRONG_KEY: 'badInput',
  WRONG_LEVEL: 'badInput',
  NOT_ENOUGH_PARTIES: 'unavailable',
  SETUP_ABORTED: 'unavailable',
  SESSION_CLOSED: 'unavailable',
  NOT_DECODABLE: 'refused',
  STORE_FAILED: 'internal',
  STALE_HEAD: 'unavailable',
  KMS_REFUSED: 'refused',
  KMS_UNAVAILABLE: 'unavailable',
  KMS_POLICY: 'refused',
  UNAVAILABLE: 'unavailable',
  TIMEOUT: 'unavailable',
  BUSY: 'unavailable',
  INTERNAL: 'internal',
};

export function exitCodeOf(error: unknown): number {
  return exitCodes[error instanceof UsageError ? 'usage' : outcomes[codeOf(error)]];
}

const network = "see 'kms net status'; 'kms net up' starts a local network";

/** What a person can do about an error, where its message does not say so. */
const advice: Partial<Record<ErrorCode, string>> = {
  BAD_CONFIGURATION: "'kms net config show' says what the network has and what a proposal lacks",
  BAD_GENESIS:
    'a node belongs to one network for good, and only to one of its own class; check --state or --genesis',
  CONFLICT: 'somebody signed two successors of one configuration: compare them, and ask who signed both',
  BAD_ATTESTATION:
    "do not go on; 'kms attest' shows what the node runs, 'kms net config show' what the network allows",
  BAD_PEER: 'what answers at this address is not the node that the configuration names; do not go on',
  BUSY: 'wait a little and try again',
  NOT_ENOUGH_PARTIES: `nothing was half-done; once enough nodes are up the same command succeeds (${network})`,
  SETUP_ABORTED: "nothing was half-done; run 'kms keygen' again",
  STORE_FAILED: 'check that the directory exists, is writable and has space left',
  TIMEOUT: `try again, or allow more time with --timeout (${network})`,
  TOO_NOISY: 'decrypt earlier in the computation, or use a preset with more depth (bfv-16384)',
  UNAVAILABLE: network,
  UNKNOWN_KEY: "'kms keys' lists the keys of this network",
};

export function adviceFor(error: unknown): string | undefined {
  return error instanceof UsageError ? error.advice : advice[codeOf(error)];
}
