import { createHash } from 'node:crypto';
import type { Block } from '../../enclave/chains/block.ts';
import type { BlockTag, ChainEndpoint } from '../../enclave/chains/endpoint.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';

export const CHAIN_ID = 31337n;
/** Of block 0; a block every 12 seconds. */
export const START_S = 1_800_000_000n;
export const BLOCK_S = 12n;

/** Block of that number; another branch has other hashes from a number on. */
export function blockAt(number: bigint, branch = 'main', from = 0n): Block {
  const hashAt = (at: bigint): Digest =>
    digest(
      createHash('sha256')
        .update(`${at < from ? 'main' : branch} ${at}`)
        .digest('hex'),
    );
  return {
    number,
    hash: hashAt(number),
    parentHash: hashAt(number - 1n),
    timestampS: START_S + number * BLOCK_S,
  };
}

/** Behind the others, so that their answers decide. */
const SLOW_MS = 20;

/** What an endpoint does instead of an honest answer. */
export type Fault = 'none' | 'dead' | 'silent' | 'slow' | 'other chain' | 'false hash' | 'false time';

/** An endpoint of a chain that exists by arithmetic. */
export class FakeEndpoint implements ChainEndpoint {
  latest: bigint;
  finalized: bigint;
  branch = 'main';
  branchFrom = 0n;
  fault: Fault = 'none';
  /** Blocks that it still knows by hash. */
  orphans: Block[] = [];
  asked = 0;
  /** Of these, which chain it is of. */
  askedForChain = 0;
  /** Questions on which somebody hung up. */
  hungUp = 0;

  constructor(height: bigint) {
    this.latest = height;
    this.finalized = height;
  }

  set height(height: bigint) {
    this.latest = height;
    this.finalized = height;
  }

  async chainId(signal: AbortSignal): Promise<bigint> {
    this.askedForChain += 1;
    await this.#answer(signal);
    return this.fault === 'other chain' ? CHAIN_ID + 1n : CHAIN_ID;
  }

  async blockByNumber(which: bigint | BlockTag, signal: AbortSignal): Promise<Block | undefined> {
    await this.#answer(signal);
    const number = typeof which === 'bigint' ? which : this[which];
    return number > this.latest ? undefined : this.#said(number);
  }

  async blockByHash(hash: Digest, signal: AbortSignal): Promise<Block | undefined> {
    await this.#answer(signal);
    const orphan = this.orphans.find((one) => one.hash === hash);
    if (orphan !== undefined) return orphan;
    for (let number = this.latest; number >= 0n; number--) {
      const block = this.#said(number);
      if (block.hash === hash) return block;
    }
    return undefined;
  }

  /** It exists by arithmetic, without a state. */
  header(): Promise<Uint8Array> {
    return Promise.reject(new KmsError('UNAVAILABLE', 'this chain has no headers'));
  }

  proof(): Promise<readonly Uint8Array[]> {
    return Promise.reject(new KmsError('UNAVAILABLE', 'this chain has no state'));
  }

  #said(number: bigint): Block {
    const block = blockAt(number, this.branch, this.branchFrom);
    if (this.fault === 'false hash') return { ...block, hash: digest('66'.repeat(32)) };
    if (this.fault === 'false time') return { ...block, timestampS: block.timestampS + 3600n };
    return block;
  }

  async #answer(signal: AbortSignal): Promise<void> {
    this.asked += 1;
    if (this.fault === 'dead') throw new KmsError('UNAVAILABLE', 'nobody is there');
    if (this.fault !== 'silent' && this.fault !== 'slow') return;
    await new Promise<void>((resolve, reject) => {
      const hangUp = (): void => {
        this.hungUp += 1;
        reject(new KmsError('TIMEOUT', 'no answer'));
      };
      if (signal.aborted) hangUp();
      signal.addEventListener('abort', hangUp, { once: true });
      if (this.fault === 'silent') return;
      setTimeout(() => {
        signal.removeEventListener('abort', hangUp);
        resolve();
      }, SLOW_MS);
    });
  }
}
