import { pause } from '../../gateway/adapter/backoff.ts';
import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { revertOf } from '../../gateway/adapter/log.ts';
import type { SendOutcome } from '../../gateway/adapter/sender.ts';
import { codeOf } from '../../shared/errors.ts';
import { compareLeaves, MAX_BATCH_LEAVES, publicLeaf, resultBatch } from '../../shared/gateway/batch.ts';
import { publicStatement } from '../../shared/gateway/policy/public-decryption.ts';
import type { AskedRequest } from './asked.ts';
import type { ConnectorPorts } from './ports.ts';
import { type Postable, packed, postAlone } from './posting.ts';

export type PublicPostable = Extract<Postable, { readonly kind: 'public' }>;

/** How long an answer waits for others whose turn is this connector's too. */
const WINDOW_MS = 500;
/** Calldata of a batch: pools take transactions of 128 KiB. */
const MAX_BATCH_BYTES = 96 << 10;
/** A request with its other fields, and what points to them. */
const REQUEST_BYTES = 800;
const WORD_BYTES = 32;

export interface BatchPostingOptions {
  /** Whether more answers are about to come that this connector is to post. */
  readonly areMoreComing: () => boolean;
  /** Whether an event said that a request is over. */
  readonly isOver: (id: bigint) => boolean;
}

interface Waiting {
  readonly asked: AskedRequest;
  readonly answer: PublicPostable;
  readonly leaf: Uint8Array;
  readonly settle: (outcome: Promise<SendOutcome>) => void;
}

/**
 * Posts public answers: those that are ready together in one transaction, under one signature of each member over all of them. Each has
 * its own signatures already, so where members do not sign the batch or the contract refuses it, they are posted one by one.
 */
export class BatchPosting {
  readonly #ports: ConnectorPorts;
  readonly #options: BatchPostingOptions;
  #waiting: Waiting[] = [];

  constructor(ports: ConnectorPorts, options: BatchPostingOptions) {
    [this.#ports, this.#options] = [ports, options];
  }

  /** Resolves when it is posted, or somebody else's is there. @throws {KmsError} what Chain and Sender throw */
  post(asked: AskedRequest, answer: PublicPostable): Promise<SendOutcome> {
    const { epoch, result } = answer;
    const leaf = publicLeaf({ ...publicStatement(asked.request, epoch), result });
    const { promise, resolve } = Promise.withResolvers<SendOutcome>();
    this.#waiting.push({ asked, answer, leaf, settle: resolve });
    if (this.#waiting.length === 1) void this.#flushLater();
    this.flushIfAll();
    return promise;
  }

  /** Nothing is waited for that will not come. */
  flushIfAll(): void {
    if (this.#waiting.length >= MAX_BATCH_LEAVES || !this.#options.areMoreComing()) this.#flush();
  }

  async #flushLater(): Promise<void> {
    const first = this.#waiting[0];
    await pause(WINDOW_MS, this.#ports.signal);
    if (this.#waiting[0] === first) this.#flush();
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const { isOver } = this.#options;
    const open = waiting.filter(({ asked }) => !isOver(asked.args.id));
    for (const one of waiting) {
      if (!open.includes(one)) one.settle(Promise.resolve({ kind: 'already' }));
    }
    for (const batch of batchesOf(open)) {
      const posting = batch.length === 1 ? undefined : this.#postTogether(batch);
      for (const one of batch) one.settle(this.#unlessTogether(one, posting));
    }
  }

  async #unlessTogether(
    { asked, answer }: Waiting,
    posting: Promise<SendOutcome | undefined> | undefined,
  ): Promise<SendOutcome> {
    return (await posting) ?? postAlone(this.#ports, asked, answer);
  }

  /** @returns undefined if they are to be posted one by one */
  async #postTogether(batch: readonly Waiting[]): Promise<SendOutcome | undefined> {
    const { network, enclave, sender, log, signal } = this.#ports;
    const { decryptions } = network.gateway;
    const inOrder = batch.toSorted((a, b) => compareLeaves(a.leaf, b.leaf));
    const leaves = inOrder.map(({ leaf }) => leaf);
    const { epoch } = batch[0]!.answer;
    const count = batch.length;
    let signatures: Hex;
    try {
      signatures = packed(await enclave.signBatch({ epoch, leaves }, signal));
    } catch (error) {
      log('warn', 'batch-not-signed', { count, code: codeOf(error) });
      return undefined;
    }
    const answers = inOrder.map(({ asked, answer }) => ({
      ...{ request: asked.args, result: hexOf(answer.result), parties: 0n, shareDigests: [] },
    }));
    const call = callOf(decryptions, 'answerBatch', [epoch, answers, signatures]);
    const areAnswered = async (): Promise<boolean> => {
      const all = await Promise.all(batch.map(({ asked }) => read(decryptions, 'answers', [asked.args.id])));
      return all.every((answer) => BigInt(answer) !== 0n);
    };
    const name = `answers-${hexOf(resultBatch(epoch, leaves).root)}`;
    const outcome = await sender.send(name, call, areAnswered);
    if (outcome.kind === 'refused') {
      // One of its requests may be undone, say: alone the others are good.
      log('warn', 'batch-refused', { count, ...revertOf(outcome.refusal) });
      return undefined;
    }
    if (outcome.kind === 'mined') log('info', 'batch-posted', { count });
    return outcome;
  }
}

/** Of one epoch each, and small enough for one transaction; in the order in which the answers came. @param waiting 64 at most */
function batchesOf(waiting: readonly Waiting[]): readonly (readonly Waiting[])[] {
  const batches: Waiting[][] = [];
  for (const ofEpoch of Map.groupBy(waiting, ({ answer }) => answer.epoch).values()) {
    let batch: Waiting[] = [];
    let size = 0;
    for (const one of ofEpoch) {
      const more = sizeOf(one);
      if (size + more > MAX_BATCH_BYTES) {
        batches.push(batch);
        [batch, size] = [[], 0];
      }
      batch.push(one);
      size += more;
    }
    batches.push(batch);
  }
  return batches.filter((batch) => batch.length > 0);
}

/** In calldata. */
function sizeOf({ asked, answer }: Waiting): number {
  return answer.result.length + asked.args.handles.length * WORD_BYTES + REQUEST_BYTES;
}
