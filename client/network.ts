import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import type { Committee } from '../shared/committee.ts';
import { type ErrorCode, KmsError } from '../shared/errors.ts';
import type { PartyId } from '../shared/ids.ts';
import type { ConfigurationChain } from '../shared/network/chain.ts';
import { committeeOf, type Member } from '../shared/network/configuration.ts';
import { noble } from '../shared/noble.ts';
import type { Electorate } from '../shared/protocol/certificate.ts';
import { NodeService } from '../shared/wire/generated/kms/v1/node_pb.js';
import { type Fault, faultOf, listed, meaningOf } from './fault.ts';
import { NodeChannel, type NodeClient } from './node-channel.ts';
import { type KnownBlock, trustIn } from './node-trust.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
}

/** What became of a question to all nodes. */
export interface Answers<T> {
  readonly values: ReadonlyMap<PartyId, T>;
  readonly faults: ReadonlyMap<PartyId, Fault>;
}

type Acceptance<T> = (party: PartyId, value: T) => boolean | Promise<boolean>;

interface AskLimits {
  readonly timeoutMs?: number;
}

/** How long questions may take. */
export interface Patience {
  /** For one question to all nodes. */
  readonly timeoutMs: number;
  /** What the others get once enough have answered: a liar that is a little slower is still named. */
  readonly graceMs: number;
}

export const PATIENCE: Patience = { timeoutMs: 60_000, graceMs: 400 };
/** How long one node may keep the others from being asked. */
const NEXT_NODE_MS = 3000;

/** All nodes of one network, as its newest configuration names them; asks them all at the same time, trusts none of them. */
export class Network {
  readonly chain: ConfigurationChain;
  readonly members: readonly Member[];
  readonly committee: Committee;
  readonly electorate: Electorate;
  readonly block: KnownBlock | undefined;
  readonly #channels: ReadonlyMap<PartyId, NodeChannel>;
  readonly #patience: Patience;

  /** @param block see trustIn() */
  constructor(chain: ConfigurationChain, patience: Patience = PATIENCE, block?: KnownBlock) {
    this.block = block;
    const { configuration } = chain.newest.signed;
    this.chain = chain;
    this.members = configuration.members;
    this.committee = committeeOf(configuration);
    this.electorate = {
      networkId: chain.networkId,
      configuration: chain.epochStart.digest,
      epoch: configuration.epoch,
      committee: this.committee,
      identities: new Map(this.members.map(({ party, identity }) => [party, identity])),
      primitives: { ...noble, aes256: noCipher },
    };
    // A client sees no chain: while a member moves it may be at its new address already, or still at the old one.
    const trust = trustIn(chain, block);
    const places = chain.links.slice(-2).map(({ signed }) => signed.configuration.members);
    this.#channels = new Map(
      this.members.map(({ party, identity }, i) => {
        const addresses = [...new Set(places.map((members) => members[i]!.address).reverse())];
        return [party, new NodeChannel({ identity, addresses }, trust)];
      }),
    );
    this.#patience = patience;
  }

  /**
   * Puts the same question to every node. Never rejects for what nodes do.
   * @param accept sees every answer; true ends the waiting (after a short grace for the others). What it throws counts
   *   as that node's fault.
   */
  ask<T>(
    question: (node: NodeClient, options: CallOptions) => Promise<T>,
    accept?: Acceptance<T>,
    limits?: AskLimits,
  ): Promise<Answers<T>> {
    return this.askService(NodeService, question, accept, limits);
  }

  /** The same of another service that nodes offer. */
  async askService<S extends DescService, T>(
    service: S,
    question: (node: Client<S>, options: CallOptions) => Promise<T>,
    accept: Acceptance<T> = () => false,
    { timeoutMs = this.#patience.timeoutMs }: AskLimits = {},
  ): Promise<Answers<T>> {
    const values = new Map<PartyId, T>();
    const faults = new Map<PartyId, Fault>();
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)]);
    const { promise: grace, resolve: graceOver } = Promise.withResolvers<void>();
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const one = async ([party, channel]: readonly [PartyId, NodeChannel]): Promise<void> => {
      try {
        const value = await until(
          signal,
          channel.clientOf(service).then((node) => question(node, { signal })),
        );
        if (over) return;
        const enough = await accept(party, value);
        values.set(party, value);
        if (enough) timer ??= setTimeout(graceOver, this.#patience.graceMs);
      } catch (error) {
        if (!over) faults.set(party, faultOf(error));
      }
    };
    await Promise.race([Promise.all([...this.#channels].map(one)), grace]);
    over = true;
    clearTimeout(timer);
    stop.abort();
    return { values, faults };
  }

  /**
   * The first answer that does not fail. Asks one node after the other, and the next one already when the last one
   * takes long.
   * @throws {KmsError} what failureOf says when every node failed
   */
  async first<T>(question: (node: NodeClient, options: CallOptions) => Promise<T>): Promise<T> {
    const faults = new Map<PartyId, Fault>();
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(this.#patience.timeoutMs)]);
    const asked: Promise<{ readonly value: T } | undefined>[] = [];
    try {
      for (const [party, channel] of this.#channels) {
        const answer = until(
          signal,
          channel.client().then((node) => question(node, { signal })),
        ).then(
          (value) => ({ value }),
          (error: unknown) => {
            faults.set(party, faultOf(error));
            return undefined;
          },
        );
        asked.push(answer);
        const won = await Promise.race([answer, firstOf(asked), after(NEXT_NODE_MS)]);
        if (won !== undefined) return won.value;
      }
      const won = await firstOf(asked);
      if (won !== undefined) return won.value;
    } finally {
      stop.abort();
    }
    throw failureOf({ values: new Map(), faults }, this.committee, 1);
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
  }
}

/** A question that failed, and the parties that gave no usable answer (or that more than t nodes call missing). */
export class Unanswered extends KmsError {
  readonly missing: readonly PartyId[];

  constructor(
    code: ErrorCode,
    message: string,
    missing: readonly PartyId[],
    culprits: readonly PartyId[] = [],
  ) {
    super(code, message, { culprits });
    this.missing = missing;
  }
}

/**
 * Why a question failed, from what each node said or what was wrong with its answer: the code of more than t of them, so
 * of at least one honest one; otherwise too few answered, and the message says who.
 */
export function failureOf(answers: Answers<unknown>, of: Committee, needed: number): Unanswered {
  const faults = [...answers.faults].sort(([a], [b]) => a - b);
  const byCode = Map.groupBy(faults, ([, { code }]) => code);
  for (const [code, given] of byCode) {
    if (given.length <= of.t || code === 'UNAVAILABLE' || code === 'TIMEOUT') continue;
    const sayers = (named: (fault: Fault) => readonly PartyId[], party: PartyId): number =>
      given.filter(([, fault]) => named(fault).includes(party)).length;
    const missing = of.parties.filter((party) => sayers((fault) => fault.missing, party) > of.t);
    const culprits = of.parties.filter((party) => sayers((fault) => fault.culprits, party) > of.t);
    const absent = missing.length === 0 ? '' : `; missing: ${listed(missing)}`;
    const text = `${meaningOf(code)} (${listed(given.map(([party]) => party))})${absent}`;
    return new Unanswered(code, text, missing, culprits);
  }
  const answered = answers.values.size;
  const missing = of.parties.filter((party) => !answers.values.has(party));
  if (answered >= needed) {
    return new Unanswered(
      'NOT_DECODABLE',
      `${answered} nodes answered, but no ${needed} of them agree`,
      missing,
    );
  }
  const silent = faults.map(([party, { code }]) => `${party} (${meaningOf(code)})`).join(', ');
  return new Unanswered(
    'NOT_ENOUGH_PARTIES',
    `${answered} of ${of.n} nodes answered, ${needed} are needed; no answer from party ${silent}`,
    missing,
  );
}

/** The type of an electorate asks for ciphers too; checking signatures needs none. */
function noCipher(): never {
  throw new KmsError('INTERNAL', 'a client has no use for a cipher');
}

/** The first that resolves with something; undefined when none does. */
function firstOf<T>(answers: readonly Promise<T | undefined>[]): Promise<T | undefined> {
  const found = answers.map((answer) =>
    answer.then((value) => (value === undefined ? Promise.reject(new Error('no answer')) : value)),
  );
  return Promise.any(found).catch(() => undefined);
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref());
}

/** Rejects when the signal aborts first. */
function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new KmsError('TIMEOUT', 'no answer in time'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
