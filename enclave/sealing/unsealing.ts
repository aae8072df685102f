import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import { peersOf, type Roll } from '../../shared/protocol/machine.ts';
import type { Anchor } from '../../shared/sealing/anchor.ts';
import type { Recollection } from '../membership/peer-memory.ts';
import type { NodeSeal } from './node-seal.ts';
import { Recollections } from './recollections.ts';
import type { ScopeHeader } from './scope-header.ts';
import type { StateStore } from './state-store.ts';

export interface UnsealingPorts {
  /** Asks a member what it keeps for this node. @throws {KmsError} */
  readonly recall: (party: PartyId) => Promise<Recollection>;
  /** Undefined in a network without a gateway. */
  readonly anchor: Anchor | undefined;
  /** Enclave time. */
  readonly nowMs: () => number;
  /** n-1-t memories and t+1 release shares have come. */
  readonly onRecalled: () => void;
  readonly signal: AbortSignal;
  readonly log: Log;
}

const BACKOFF_MS = { first: 50, last: 2_000 };
/** Who has answered is asked again as long as that is not enough: it may have been given a share meanwhile. */
const AGAIN_MS = 5_000;

/** Failures that say nothing about the state itself: the next attempt may succeed. */
const PASSING: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'TIMEOUT',
  'KMS_UNAVAILABLE',
  'BUSY',
  'STALE_HEAD',
]);

/**
 * Opens tier 2 of a node that starts again: with what n-1-t others remember and t+1 of their release shares (decision 0005,
 * "Boot"). Waits as long as it takes.
 * @throws {KmsError} STORE_FAILED if the state is lost, damaged or not what is anchored; NOT_PROVEN; KMS_REFUSED, KMS_POLICY;
 *   SESSION_CLOSED when aborted
 */
export async function unseal(roll: Roll, seal: NodeSeal, ports: UnsealingPorts): Promise<StateStore> {
  const { onRecalled, signal, log } = ports;
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  using recollections = new Recollections(roll);
  const inquiry = new Inquiry(recollections, both);
  for (const party of peersOf(roll)) void inquiry.ask(party, ports);
  try {
    const header = await seal.nodeHeader();
    const threshold = roll.committee.t + 1;
    const isOpenable = (one: ScopeHeader): boolean => recollections.sharesFor(one).length >= threshold;
    await inquiry.until(() => recollections.highest !== undefined && isOpenable(header));
    onRecalled();
    const open = (one: ScopeHeader): Promise<void> =>
      patiently(both, log, async () => {
        // Since the last attempt holders may have answered again, and with less.
        while (!isOpenable(one)) await inquiry.until(() => isOpenable(one));
        await seal.scopes.open(one, recollections.sharesFor(one));
      });
    await open(header);
    const state = await patiently(both, log, () => openState(roll, seal, recollections, ports));
    for (const one of await state.headers()) await open(one);
    for (const party of recollections.mistaken) log('warn', 'recollection-not-ours', { party });
    await seal.resume(state, (one) => recollections.holdersOf(one));
    return state;
  } finally {
    ended.abort();
  }
}

async function openState(
  roll: Roll,
  seal: NodeSeal,
  recollections: Recollections,
  { anchor, nowMs }: Pick<UnsealingPorts, 'anchor' | 'nowMs'>,
): Promise<StateStore> {
  const known = recollections.highest;
  if (known === undefined) throw new KmsError('INTERNAL', 'too few memories');
  const askedMs = nowMs();
  const anchored = await anchor?.newest();
  const state = await seal.open(roll, known);
  const { version } = state.state;
  if (version === 0) throw new KmsError('STORE_FAILED', 'the bucket has lost the state of this node');
  if (anchored !== undefined && seal.course?.against(anchored, askedMs) === 'old') {
    const what = version < anchored.version ? `version ${anchored.version}` : 'another course of this node';
    throw new KmsError('STORE_FAILED', `the state has version ${version}, but ${what} is anchored`);
  }
  return state;
}

/** One question to each member, repeated until it is answered. */
class Inquiry {
  readonly #recollections: Recollections;
  readonly #signal: AbortSignal;
  #answered = Promise.withResolvers<void>();

  constructor(recollections: Recollections, signal: AbortSignal) {
    this.#recollections = recollections;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#answered.resolve(), { once: true });
  }

  async ask(party: PartyId, { recall, log }: Pick<UnsealingPorts, 'recall' | 'log'>): Promise<void> {
    let backoffMs = BACKOFF_MS.first;
    while (!this.#signal.aborted) {
      try {
        this.#recollections.take(party, await recall(party));
        backoffMs = AGAIN_MS;
        this.#answered.resolve();
      } catch (error) {
        log('warn', 'recall-failed', { party, code: codeOf(error) });
      }
      await sleep(backoffMs, undefined, { signal: this.#signal, ref: false }).catch(() => {});
      backoffMs = Math.min(2 * backoffMs, backoffMs >= AGAIN_MS ? AGAIN_MS : BACKOFF_MS.last);
    }
  }

  async until(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      if (this.#signal.aborted)
        throw new KmsError('SESSION_CLOSED', 'the node was stopped while it unsealed');
      this.#answered = Promise.withResolvers<void>();
      await this.#answered.promise;
    }
  }
}

/** Repeats what fails for a reason that may pass. */
async function patiently<T>(signal: AbortSignal, log: Log, attempt: () => Promise<T>): Promise<T> {
  for (let backoffMs = BACKOFF_MS.first; ; backoffMs = Math.min(2 * backoffMs, BACKOFF_MS.last)) {
    try {
      return await attempt();
    } catch (error) {
      if (!PASSING.has(codeOf(error))) throw error;
      if (signal.aborted) throw new KmsError('SESSION_CLOSED', 'the node was stopped while it unsealed');
      log('warn', 'unsealing-delayed', { code: codeOf(error) });
    }
    await sleep(backoffMs, undefined, { signal, ref: false }).catch(() => {});
  }
}
