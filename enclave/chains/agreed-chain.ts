import { KmsError } from '../../shared/errors.ts';
import type { ProvenChain } from '../../shared/gateway/proof/proven-chain.ts';
import type { Digest } from '../../shared/ids.ts';
import type { Finality } from '../../shared/network/chain-access.ts';
import { MAX_HEADER_LAG_S } from '../../shared/network/chain-head.ts';
import { agreed } from './agreement.ts';
import { type Block, blockName } from './block.ts';
import type { ChainEndpoint, SlotsOf } from './endpoint.ts';
import { claimsOf, type HeadClaim } from './head-claims.ts';
import type { HeadFloor } from './head-floor.ts';
import { provenBy } from './head-proof.ts';
import { Patience } from './patience.ts';

/** Whom to ask, and how many of them must say the same; k > m/2. */
export interface EndpointSet {
  readonly k: number;
  readonly endpoints: readonly ChainEndpoint[];
}

export interface ChainRules {
  readonly finality: Finality;
  readonly maxHeadAgeS: number;
}

export interface AgreedChainOptions {
  readonly chainId: bigint;
  /** Of the configuration that is valid now. */
  readonly rules: () => ChainRules;
  /** Of the configuration that is valid now. */
  readonly rpc: () => EndpointSet;
  readonly floor: HeadFloor;
  /** Enclave time. */
  readonly nowMs: () => number;
  /** How long an endpoint may take for one question, or to name its newest block. */
  readonly requestMs?: number;
}

const REQUEST_MS = 3_000;
/** A head counts for so long without being asked for again. */
const KEPT_HEAD_MS = 10_000;
/** Blocks that were agreed to be canonical, the newest ones. */
const KEPT_BLOCKS = 64;

/**
 * What this enclave believes about one chain: blocks that k of m endpoints name alike, final by the chain's rule, not old, and
 * never below one that it has believed before: in this life, and in earlier ones as far as that was durable. Nothing here is one
 * endpoint's word, or the parent's.
 */
export class AgreedChain {
  readonly #options: AgreedChainOptions;
  /** What earlier lives have left: no proof about a block below it counts. */
  readonly #startFloor: bigint;
  /** By hash. */
  readonly #canonical = new Map<Digest, Block>();
  /** See ClaimTerms. */
  readonly #ofChain = new WeakMap<ChainEndpoint, number>();
  #head: Block | undefined;
  /** Enclave time when the head was asked for. */
  #askedMs = 0;
  #asking: Promise<Block> | undefined;

  constructor(options: AgreedChainOptions) {
    this.#options = options;
    this.#startFloor = options.floor.number;
  }

  /** The highest block that was ever accepted as the head; 0 before there was one. Never decreases. */
  get height(): bigint {
    return this.#options.floor.number;
  }

  /**
   * The head as it was last accepted, if that was just now and it is not too old. Else it is asked for: whoever brings evidence does
   * not choose how old the head is that it is held against.
   * @throws {KmsError} as refresh()
   */
  async current(): Promise<Block> {
    const head = this.#head;
    return head !== undefined && this.#isKept() && this.#isFresh(head) ? head : this.refresh();
  }

  /**
   * Asks for the head now. Who calls while an answer is awaited gets that one.
   * @throws {KmsError} UNAVAILABLE if fewer than k endpoints agree; STALE_HEAD if what they agree on is too old or below what was
   *   accepted before; STORE_FAILED
   */
  refresh(): Promise<Block> {
    this.#asking ??= this.#refresh().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * The block of that hash, if k endpoints agree that it is one of the chain, not above the head, and neither below the floor
   * nor older than proofs may be. A header that hashes to it is then a header of the chain.
   * @throws {KmsError} as refresh(): the head itself is not known
   */
  async agreedBlock(hash: Digest): Promise<Block | undefined> {
    let head = await this.current();
    // Most are asked about while they are the newest one. Where no newer head is agreed now, the kept one counts for its time.
    if (!this.#canonical.has(hash)) head = (await this.#asking?.catch(() => undefined)) ?? head;
    if (!this.#canonical.has(hash)) head = await this.#newerThan(head);
    const known = this.#canonical.get(hash);
    const block = known ?? (await this.#ask((one, signal) => one.blockByHash(hash, signal)));
    if (block === undefined || block.number > head.number || !this.#isRecent(block, head)) return undefined;
    if (known !== undefined) return known;
    // An endpoint may still know blocks that its chain has dropped.
    const canonical = await this.#ask((one, signal) => one.blockByNumber(block.number, signal));
    if (canonical === undefined || blockName(canonical) !== blockName(block)) return undefined;
    this.#remember(block);
    return block;
  }

  /**
   * What a contract's storage holds at the head. One endpoint that proves it is enough.
   * @throws {KmsError} UNAVAILABLE if none does; as refresh()
   */
  async prove(of: SlotsOf): Promise<ProvenChain> {
    const { chainId } = this.#options;
    const head = await this.refresh();
    const patience = new Patience(this.#options.requestMs ?? REQUEST_MS);
    const proofs = this.#options
      .rpc()
      .endpoints.map((one) => provenBy(one, chainId, head, of, patience.signal));
    try {
      return await Promise.any(patience.with(proofs));
    } catch (cause) {
      throw new KmsError('UNAVAILABLE', 'no endpoint of the chain proves what its newest block holds', {
        cause,
      });
    } finally {
      patience.enough();
    }
  }

  async #newerThan(kept: Block): Promise<Block> {
    try {
      return await this.refresh();
    } catch (error) {
      if (!this.#isKept()) throw error;
      return kept;
    }
  }

  async #refresh(): Promise<Block> {
    const { floor, nowMs } = this.#options;
    const askedMs = nowMs();
    const head = await this.#agreedHead();
    if (head === undefined) {
      throw new KmsError('UNAVAILABLE', 'too few endpoints agree on the newest block of the chain');
    }
    if (head.number < floor.number) {
      throw new KmsError(
        'STALE_HEAD',
        `the endpoints go back to block ${head.number}, but block ${floor.number} was there before`,
      );
    }
    if (!this.#isFresh(head)) {
      throw new KmsError('STALE_HEAD', `the newest block of the chain, ${head.number}, is too old`);
    }
    await floor.raise(head);
    this.#forgetReplaced(head);
    this.#head = head;
    this.#askedMs = askedMs;
    this.#remember(head);
    return head;
  }

  /** The highest block that k endpoints hold final and name alike. */
  async #agreedHead(): Promise<Block | undefined> {
    const { chainId, rules, floor, nowMs, requestMs = REQUEST_MS } = this.#options;
    const { k, endpoints } = this.#options.rpc();
    const claims = claimsOf(endpoints, {
      ...{ chainId, finality: rules().finality, k, requestMs },
      ...{ nowMs: nowMs(), ofChain: this.#ofChain },
    });
    try {
      const early = await this.#highest(k, await claims.first);
      // With a liar among the first ones the answers of the others decide.
      return early !== undefined && early.number >= floor.number
        ? early
        : await this.#highest(k, await claims.all);
    } finally {
      claims.enough();
    }
  }

  async #highest(k: number, claims: readonly HeadClaim[]): Promise<Block | undefined> {
    const numbers = [...new Set(claims.map(({ number }) => number))].sort((a, b) => (a < b ? 1 : -1));
    for (const number of numbers) {
      const claimants = claims.filter((one) => one.number >= number);
      if (claimants.length < k) continue;
      const block = await this.#agreedAt(k, claimants, number);
      // A liar may have claimed the highest ones: the others are asked about the next lower number.
      if (block !== undefined) return block;
    }
    return undefined;
  }

  #agreedAt(k: number, claimants: readonly HeadClaim[], number: bigint): Promise<Block | undefined> {
    return this.#asked(k, claimants, ({ endpoint, block }, signal) =>
      block?.number === number ? Promise.resolve(block) : endpoint.blockByNumber(number, signal),
    );
  }

  #ask(
    question: (endpoint: ChainEndpoint, signal: AbortSignal) => Promise<Block | undefined>,
  ): Promise<Block | undefined> {
    const { k, endpoints } = this.#options.rpc();
    return this.#asked(k, endpoints, question);
  }

  async #asked<T>(
    k: number,
    whom: readonly T[],
    question: (one: T, signal: AbortSignal) => Promise<Block | undefined>,
  ): Promise<Block | undefined> {
    const patience = new Patience(this.#options.requestMs ?? REQUEST_MS);
    const answers = patience.with(whom.map((one) => question(one, patience.signal)));
    try {
      return await agreed(k, answers, blockName);
    } finally {
      patience.enough();
    }
  }

  #isKept(): boolean {
    return this.#options.nowMs() - this.#askedMs <= KEPT_HEAD_MS;
  }

  #isFresh({ timestampS }: Block): boolean {
    return this.#options.nowMs() / 1000 - Number(timestampS) <= this.#options.rules().maxHeadAgeS;
  }

  #isRecent(block: Block, head: Block): boolean {
    const isNear = block.timestampS + BigInt(MAX_HEADER_LAG_S) >= head.timestampS;
    return isNear && block.number >= this.#startFloor && this.#isFresh(block);
  }

  #remember(block: Block): void {
    this.#canonical.set(block.hash, block);
    if (this.#canonical.size <= KEPT_BLOCKS) return;
    const [oldest] = this.#canonical.keys();
    if (oldest !== undefined) this.#canonical.delete(oldest);
  }

  /** Unless this head follows the one before, another chain may have taken its place: what was agreed is asked for again. */
  #forgetReplaced(next: Block): void {
    const before = this.#head;
    const isNext = next.parentHash === before?.hash || next.hash === before?.hash;
    if (!isNext) this.#canonical.clear();
  }
}
