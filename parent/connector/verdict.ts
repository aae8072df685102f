import type { ErrorCode } from '../../shared/errors.ts';
import type { Blocks } from './evidence.ts';

/**
 * What an enclave's refusal means for a connector. `over`: nothing is left to do. `stale`: the same facts are to be proven at a newer
 * block. `refused`: newer blocks may show otherwise, since a mirror or a relayer may be ahead of a chain's finality; a few times. `passing`:
 * to be tried again for as long as somebody waits for it.
 */
export type Verdict = 'over' | 'stale' | 'refused' | 'passing';

const verdicts: Readonly<Record<ErrorCode, Verdict>> = {
  REQUEST_OVER: 'over',
  STALE_HEAD: 'stale',
  NOT_PROVEN: 'refused',
  NOT_PERMITTED: 'refused',
  BAD_ENCODING: 'refused',
  BAD_INPUT: 'refused',
  BAD_SIGNATURE: 'refused',
  TOO_LARGE: 'refused',
  TOO_NOISY: 'refused',
  UNKNOWN_PRESET: 'refused',
  WRONG_KEY: 'refused',
  WRONG_LEVEL: 'refused',
  // Of this node, which may be behind the others.
  UNKNOWN_KEY: 'passing',
  WRONG_EPOCH: 'passing',
  NOT_ENOUGH_PARTIES: 'passing',
  SETUP_ABORTED: 'passing',
  SESSION_CLOSED: 'passing',
  NOT_DECODABLE: 'passing',
  STORE_FAILED: 'passing',
  KMS_REFUSED: 'passing',
  KMS_UNAVAILABLE: 'passing',
  KMS_POLICY: 'passing',
  BAD_GENESIS: 'passing',
  BAD_CONFIGURATION: 'passing',
  CONFLICT: 'passing',
  BAD_PEER: 'passing',
  BAD_ATTESTATION: 'passing',
  UNAVAILABLE: 'passing',
  TIMEOUT: 'passing',
  BUSY: 'passing',
  INTERNAL: 'passing',
};

export function verdictOn(code: ErrorCode): Verdict {
  return verdicts[code];
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(verdicts, text);
}

/** Refusals at so many blocks, each newer than the one before on every chain, are enough. */
export const MAX_REFUSALS = 5;

/** Counts what an enclave refused, by piece of work. */
export class Refusals {
  readonly #byKey = new Map<string, { readonly blocks: Blocks; readonly count: number }>();

  /** Nothing is asked again at blocks that cannot show anything else. */
  mayTry(key: string, blocks: Blocks): boolean {
    const last = this.#byKey.get(key)?.blocks;
    return (
      last === undefined || [...blocks].every(([chainId, number]) => number > (last.get(chainId) ?? -1n))
    );
  }

  /** @returns whether that is enough */
  refused(key: string, blocks: Blocks): boolean {
    const count = (this.#byKey.get(key)?.count ?? 0) + 1;
    this.#byKey.set(key, { blocks, count });
    return count >= MAX_REFUSALS;
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
