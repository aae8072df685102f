import type { PartyId } from './ids.ts';

/**
 * Every failure the service can report. Tests and callers branch on the code, never on the text; across the
 * enclave boundary only the code (and provable culprits) goes out.
 */
export type ErrorCode =
  | 'BAD_ENCODING' // bytes that are not a canonical encoding of the expected type
  | 'BAD_INPUT' // well formed, but not acceptable: the message says what to change
  | 'BAD_SIGNATURE'
  | 'BAD_GENESIS' // malformed, of another class than the build, or not the one that was accepted first
  | 'BAD_CONFIGURATION' // malformed, or not an acceptable next one of the network's chain
  | 'CONFLICT' // two successors of one configuration are signed: the node has stopped
  | 'BAD_PEER' // a peer's certificate or identity is not the one the configuration names
  | 'BAD_ATTESTATION' // no authentic attestation document, or not one that the policy accepts
  | 'NOT_PROVEN' // the evidence does not show that the chain says this, or the chain says something else
  | 'NOT_PERMITTED' // the chain does not permit it: no access, a void permit, a key that no longer decrypts
  | 'REQUEST_OVER' // answered, expired or ended: nobody waits for it any more
  | 'WRONG_EPOCH' // it is another committee's to do
  | 'TOO_LARGE'
  | 'TOO_NOISY' // static noise bound above v_max at the decryption level
  | 'UNKNOWN_KEY'
  | 'UNKNOWN_PRESET'
  | 'WRONG_KEY'
  | 'WRONG_LEVEL'
  | 'NOT_ENOUGH_PARTIES' // fewer than the quorum answered in time; safe to repeat
  | 'SETUP_ABORTED' // synchronous setup failed; safe to repeat under a new key id
  | 'SESSION_CLOSED' // message or request for a session this process must not speak in
  | 'NOT_DECODABLE' // shares do not determine a polynomial (more than t faults or still too few)
  | 'STORE_FAILED'
  | 'STALE_HEAD' // a chain's newest agreed block is too old, or below one that was accepted: newer ones are withheld
  | 'KMS_REFUSED' // the cloud's key service says no, for good: permission, key state, another ciphertext or context
  | 'KMS_UNAVAILABLE' // the cloud's key service did not answer in time, is throttling or failing; safe to repeat
  | 'KMS_POLICY' // the key is not one that only attested images can use: nothing is sealed or unsealed under it
  | 'UNAVAILABLE' // a process or link is down
  | 'TIMEOUT'
  | 'BUSY'
  | 'INTERNAL';

/** The one error class. `culprits` is non-empty only when a signed statement proves the fault. */
export class KmsError extends Error {
  readonly code: ErrorCode;
  readonly culprits: readonly PartyId[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { culprits?: readonly PartyId[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KmsError';
    this.code = code;
    this.culprits = options.culprits ?? [];
  }
}

/** Code of any thrown value; what is not a KmsError is INTERNAL. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof KmsError ? error.code : 'INTERNAL';
}
