import { keccak256 } from 'viem';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { ChainAccount } from './account.ts';
import { type Backoff, CHAIN_BACKOFF, pause, pauseMs, persistently } from './backoff.ts';
import type { Chain } from './chain.ts';
import type { Header, Hex, Receipt } from './chain-data.ts';
import type { Refusal } from './endpoint.ts';
import { FEE_POLICY, type FeePolicy, type Fees, firstFees, raisedFees } from './fees.ts';
import { type Heads, polledHeads } from './heads.ts';
import type { ChainLog } from './log.ts';
import { verdictOf } from './submission.ts';
import { Turns } from './turns.ts';

export interface TransactionCall {
  readonly to: Hex;
  readonly data: Hex;
  readonly value?: bigint;
  /** Instead of what the chain estimates. */
  readonly gas?: bigint;
  /** Beyond the estimate: what the call may cost more if others' calls come before it. */
  readonly spareGas?: bigint;
}

/** `already`: what the call is for was done by somebody, and nothing was paid for it or its transaction reverted. */
export type SendOutcome =
  | { readonly kind: 'mined'; readonly receipt: Receipt }
  | { readonly kind: 'already' }
  /** It would revert, or did, and isDone says no. */
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface SenderOptions {
  readonly chain: Chain;
  readonly account: ChainAccount;
  readonly log: ChainLog;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly fees?: FeePolicy;
  /** Blocks from a transaction's to the newest, itself included, before it counts as mined. */
  readonly confirmations?: number;
  /** Blocks without a transaction before its fees are raised. */
  readonly raiseAfterBlocks?: number;
  /** Transactions under way at once. */
  readonly inFlight?: number;
  /** Calls that wait or are under way; more are refused (BUSY). */
  readonly maxCalls?: number;
  /** Of the chain; else it is polled. */
  readonly heads?: Heads | undefined;
  readonly pollMs?: number | undefined;
  readonly backoff?: Backoff;
}

interface Sent {
  readonly nonce: number;
  readonly call: TransactionCall;
  readonly gas: bigint;
  fees: Fees;
  raw: Hex;
  /** Of every version, the newest last; one of them is mined. */
  readonly hashes: Hex[];
  /** Newest block when the newest version was submitted. */
  block: bigint;
}

const RAISE_AFTER_BLOCKS = 3;
const IN_FLIGHT = 16;
const MAX_CALLS = 1024;
const POLL_MS = 50;
const FIRST_POLL_MS = 5;
/** So long a used nonce may be known before its receipt: of a block that is being stored, or by endpoints of unequal height. */
const RECEIPT_LAG_MS = 1_000;

/**
 * Sends the transactions of one account, whose only sender it is. What was sent by a process before it is waited for, or replaced by
 * nothing if it is not mined in time: whoever wanted it asks again, and is answered by isDone.
 */
export class Sender {
  readonly #o: SenderOptions;
  readonly #backoff: Backoff;
  readonly #calls = new Map<string, Promise<SendOutcome>>();
  readonly #flights: Turns;
  readonly #claims = new Turns(1);
  /** Undefined: to be asked for. */
  #nextNonce: number | undefined;
  #underWay = 0;
  #isSettled = false;

  constructor(options: SenderOptions) {
    this.#o = options;
    this.#backoff = options.backoff ?? CHAIN_BACKOFF;
    this.#flights = new Turns(options.inFlight ?? IN_FLIGHT);
  }

  get address(): Hex {
    return this.#o.account.address;
  }

  /**
   * Sends a call unless what it is for is done, and waits until it is mined, however long the chain is down.
   * @param key names the call: the same one while it is under way is the same transaction
   * @param isDone asks the chain; a call that reverts since somebody was faster is done
   * @throws {KmsError} BUSY; UNAVAILABLE once the sender has ended
   */
  send(key: string, call: TransactionCall, isDone: () => Promise<boolean>): Promise<SendOutcome> {
    const underWay = this.#calls.get(key);
    if (underWay !== undefined) return underWay;
    if (this.#calls.size >= (this.#o.maxCalls ?? MAX_CALLS)) {
      return Promise.reject(new KmsError('BUSY', 'too many transactions wait; ask again later'));
    }
    const outcome = this.#flights
      .run(() => this.#carryOut(key, call, isDone))
      .finally(() => this.#calls.delete(key));
    this.#calls.set(key, outcome);
    return outcome;
  }

  async #carryOut(key: string, call: TransactionCall, isDone: () => Promise<boolean>): Promise<SendOutcome> {
    const { chain, account, signal, log } = this.#o;
    const isOver = (): Promise<boolean> => this.#persistently(isDone);
    // First of all: what an earlier process sent may be this very call.
    await this.#claims.run(() => this.#settle());
    for (;;) {
      const [isDoneNow, estimated] = await Promise.all([
        isOver(),
        this.#persistently(() => chain.estimate({ from: account.address, ...call }, signal)),
      ]);
      if (isDoneNow) return { kind: 'already' };
      if ('refusal' in estimated) return this.#unlessDone(isOver, estimated.refusal);
      const sent = await this.#claims.run(() =>
        this.#submitFirst(call, call.gas ?? (estimated.gas * 5n) / 4n + (call.spareGas ?? 0n)),
      );
      if (sent === 'again') continue;
      if ('refusal' in sent) return this.#unlessDone(isOver, sent.refusal);
      const receipt = await this.#mined(key, sent).finally(() => this.#underWay--);
      if (receipt === undefined) continue;
      log('info', 'transaction-mined', { chain: Number(chain.chainId), item: key });
      if (receipt.isSuccess) return { kind: 'mined', receipt };
      return this.#unlessDone(isOver, {
        code: 0,
        message: 'reverted when it was mined',
        revertData: undefined,
      });
    }
  }

  async #unlessDone(isOver: () => Promise<boolean>, refusal: Refusal): Promise<SendOutcome> {
    return (await isOver()) ? { kind: 'already' } : { kind: 'refused', refusal };
  }

  /**
   * One at a time: a nonce is used up when the endpoint has taken its transaction.
   * @returns `again` if a transaction of this nonce is mined: it may be this very one, so first of all whether all is done is to be asked
   */
  async #submitFirst(
    call: TransactionCall,
    gas: bigint,
  ): Promise<Sent | { readonly refusal: Refusal } | 'again'> {
    const { chain, account, signal, pollMs = POLL_MS } = this.#o;
    // With nothing under way the chain knows better: it may have been reorganised, or its pool forgotten.
    if (this.#underWay === 0) this.#nextNonce = undefined;
    for (let attempt = 1; ; attempt++) {
      const next = (): Promise<number> => chain.nonce(account.address, 'pending', signal);
      const [nonce, newest] = await Promise.all([
        this.#nextNonce ?? this.#persistently(next),
        this.#persistently(() => chain.latest(signal)),
      ]);
      const sent = await this.#signed(call, gas, nonce, newest);
      const refusal = await this.#persistently(() => chain.submit(sent.raw, signal));
      const verdict = refusal === undefined ? 'known' : verdictOf(refusal);
      // An earlier attempt whose answer was lost may be mined by now.
      if (
        verdict === 'known' ||
        (verdict === 'nonce-used' && (await this.#persistently(() => this.#isKnown(sent))))
      ) {
        this.#nextNonce = nonce + 1;
        this.#underWay++;
        return sent;
      }
      if (verdict === 'refused') return { refusal: refusal! };
      if (verdict === 'nonce-taken') this.#nextNonce = nonce + 1;
      if (verdict === 'nonce-used') this.#nextNonce = undefined;
      // However seldom the chain is to be asked for blocks: nobody announces what is waited for here.
      await pause(Math.min(attempt, 20) * Math.min(pollMs, POLL_MS), signal);
      this.#requireRunning();
      if (verdict === 'nonce-used') return 'again';
    }
  }

  async #signed(
    call: TransactionCall,
    gas: bigint,
    nonce: number,
    { number: block, baseFeePerGas }: Header,
  ): Promise<Sent> {
    const { fees: policy = FEE_POLICY } = this.#o;
    const fees = firstFees(policy, baseFeePerGas);
    const raw = await this.#sign(call, gas, nonce, fees);
    return { nonce, call, gas, fees, raw, hashes: [keccak256(raw)], block };
  }

  #sign(call: TransactionCall, gas: bigint, nonce: number, fees: Fees): Promise<Hex> {
    const { to, data, value = 0n } = call;
    return this.#o.account.sign({
      chainId: Number(this.#o.chain.chainId),
      nonce,
      to,
      data,
      value,
      gas,
      ...fees,
    });
  }

  /** @returns undefined if another transaction has its nonce */
  async #mined(key: string, sent: Sent): Promise<Receipt | undefined> {
    const { chain, account, signal, confirmations = 1, pollMs = POLL_MS, heads = polledHeads } = this.#o;
    let usedMs: number | undefined;
    for (let attempt = 1; ; attempt++) {
      this.#requireRunning();
      const asked = heads.count;
      const found = await this.#persistently(async () => {
        const early = confirmations === 1 ? await this.#receiptOf(sent) : undefined;
        if (early !== undefined) return { receipt: early };
        const used = await chain.nonce(account.address, 'latest', signal);
        const receipt = await this.#receiptOf(sent);
        const { number, baseFeePerGas } = await chain.latest(signal);
        if (receipt !== undefined) {
          return number - receipt.blockNumber + 1n >= BigInt(confirmations) ? { receipt } : 'wait';
        }
        if (used > sent.nonce) {
          // Whoever answers may not have the receipt as soon as the nonce: what is sent again too early is done twice.
          usedMs ??= performance.now();
          return performance.now() - usedMs < RECEIPT_LAG_MS ? 'wait' : 'replaced';
        }
        await this.#insist(key, sent, number, baseFeePerGas);
        return 'wait';
      });
      if (found === 'replaced') return undefined;
      if (found !== 'wait') return found.receipt;
      // Blocks may come as soon as there is something to put into them.
      await heads.changed(asked, pauseMs({ firstMs: FIRST_POLL_MS, longestMs: pollMs }, attempt), signal);
    }
  }

  /** Raises the fees when it takes too long; submits it again when the endpoint has forgotten it. */
  async #insist(key: string, sent: Sent, block: bigint, baseFeePerGas: bigint): Promise<void> {
    const { chain, log, signal, fees: policy = FEE_POLICY, raiseAfterBlocks = RAISE_AFTER_BLOCKS } = this.#o;
    if (block >= sent.block + BigInt(raiseAfterBlocks)) {
      sent.block = block;
      const fees = raisedFees(policy, sent.fees, baseFeePerGas);
      if (fees === undefined) {
        log('warn', 'fees-at-their-limit', { chain: Number(chain.chainId), item: key });
      } else {
        const raw = await this.#sign(sent.call, sent.gas, sent.nonce, fees);
        // Counted as sent before it is: its answer may be lost.
        sent.hashes.push(keccak256(raw));
        [sent.fees, sent.raw] = [fees, raw];
        log('info', 'fees-raised', { chain: Number(chain.chainId), item: key });
        await chain.submit(raw, signal);
        return;
      }
    }
    if (!(await this.#isKnown(sent))) await chain.submit(sent.raw, signal);
  }

  async #receiptOf({ hashes }: Sent): Promise<Receipt | undefined> {
    for (const hash of hashes.toReversed()) {
      const receipt = await this.#o.chain.receipt(hash, this.#o.signal);
      if (receipt !== undefined) return receipt;
    }
    return undefined;
  }

  async #isKnown({ hashes }: Sent): Promise<boolean> {
    return (await this.#o.chain.transaction(hashes.at(-1)!, this.#o.signal)) !== undefined;
  }

  /** Waits for what an earlier process sent. What is not mined in time is replaced by a transfer of nothing to the account itself. */
  async #settle(): Promise<void> {
    const { chain, account, signal, log, pollMs = POLL_MS, raiseAfterBlocks = RAISE_AFTER_BLOCKS } = this.#o;
    const { fees: policy = FEE_POLICY, heads = polledHeads } = this.#o;
    const nothing = { to: account.address, data: '0x', value: 0n } as const;
    let since: { readonly nonce: number; readonly block: bigint } | undefined;
    let fees: Fees | undefined;
    while (!this.#isSettled) {
      this.#requireRunning();
      const asked = heads.count;
      const [mined, pending, newest] = await this.#persistently(() =>
        Promise.all([
          chain.nonce(account.address, 'latest', signal),
          chain.nonce(account.address, 'pending', signal),
          chain.latest(signal),
        ]),
      );
      if (pending <= mined) {
        this.#isSettled = true;
        return;
      }
      if (since?.nonce !== mined) [since, fees] = [{ nonce: mined, block: newest.number }, undefined];
      if (newest.number >= since.block + BigInt(raiseAfterBlocks)) {
        const first = firstFees(policy, newest.baseFeePerGas);
        fees = fees === undefined ? first : (raisedFees(policy, fees, newest.baseFeePerGas) ?? fees);
        const raw = await this.#sign(nothing, 21_000n, mined, fees);
        await this.#persistently(() => chain.submit(raw, signal));
        log('warn', 'old-transaction-replaced', { chain: Number(chain.chainId), count: mined });
      }
      await heads.changed(asked, pollMs, signal);
    }
  }

  #requireRunning(): void {
    if (this.#o.signal.aborted) throw new KmsError('UNAVAILABLE', 'this sender has ended');
  }

  #persistently<T>(task: () => Promise<T>): Promise<T> {
    const { chain, signal, log } = this.#o;
    const warn = (error: unknown): void =>
      log('warn', 'chain-unavailable', { chain: Number(chain.chainId), code: codeOf(error) });
    return persistently(task, signal, warn, this.#backoff);
  }
}
