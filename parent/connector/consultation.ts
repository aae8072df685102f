import { pause } from '../../gateway/adapter/backoff.ts';
import type { Attempt } from '../../gateway/adapter/workshop.ts';
import { codeOf } from '../../shared/errors.ts';
import type { Claim } from '../../shared/gateway/policy/claim.ts';
import { encodeClaim } from '../../shared/gateway/policy/claim-codec.ts';
import { encodeEvidence } from '../../shared/gateway/proof/evidence.ts';
import { type Blocks, neededSlots, newestBlocks, prove } from './evidence.ts';
import { BLOCK_BELL, type ConnectorPorts } from './ports.ts';
import { Refusals, verdictOn } from './verdict.ts';

/** What came of asking the enclave: its answer, or what to do about its work. `over`: the enclave says that nobody waits any more. */
export type Consulted<T> = { readonly answer: T } | { readonly attempt: Attempt } | 'over';

interface Proven {
  readonly claim: Uint8Array;
  readonly evidence: Uint8Array;
}

/** Proofs at newer blocks in one attempt, where the enclave or its endpoints do not know a block yet. */
const STALE_TRIES = 5;
const STALE_PAUSE_MS = 200;

/** Asks the enclave with proofs at the newest blocks, and again at newer ones when it refuses. */
export class Consultation {
  readonly #ports: ConnectorPorts;
  readonly #refusals = new Refusals();

  constructor(ports: ConnectorPorts) {
    this.#ports = ports;
  }

  /**
   * @param key of the piece of work
   * @param at blocks at which to prove, instead of the newest ones
   * @throws {KmsError} what proving throws, and what the enclave refuses for a passing reason: all of it to be tried again
   */
  async ask<T>(
    key: string,
    claim: Claim,
    task: (proven: Proven) => Promise<T>,
    at?: Blocks,
  ): Promise<Consulted<T>> {
    const { network, log, signal } = this.#ports;
    const needed = neededSlots(network, claim);
    const encoded = encodeClaim(claim);
    for (let tries = 1; ; tries++) {
      const blocks = at ?? (await newestBlocks(network, needed, signal));
      if (!this.#refusals.mayTry(key, blocks)) return { attempt: { later: [BLOCK_BELL] } };
      const evidence = encodeEvidence(await prove(network, needed, blocks, signal));
      try {
        const answer = await task({ claim: encoded, evidence });
        this.#refusals.forget(key);
        return { answer };
      } catch (error) {
        const code = codeOf(error);
        switch (verdictOn(code)) {
          case 'over':
            return 'over';
          case 'passing':
            throw error;
          case 'stale':
            // These very blocks are too old, and will not get younger.
            if (at !== undefined) return 'over';
            if (tries >= STALE_TRIES) throw error;
            await pause(STALE_PAUSE_MS, signal);
            continue;
          case 'refused':
            log('warn', 'enclave-refuses', { item: key, code });
            if (!this.#refusals.refused(key, blocks)) return { attempt: { later: [BLOCK_BELL] } };
            log('error', 'refused-for-good', { item: key, code });
            this.#refusals.forget(key);
            return { attempt: 'never' };
        }
      }
    }
  }
}
