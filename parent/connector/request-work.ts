import { hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import { revertOf } from '../../gateway/adapter/log.ts';
import type { SendOutcome } from '../../gateway/adapter/sender.ts';
import { Turns } from '../../gateway/adapter/turns.ts';
import type { Attempt } from '../../gateway/adapter/workshop.ts';
import { requestCommitment } from '../../shared/gateway/commitments.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { AskedRequest } from './asked.ts';
import { BatchPosting } from './batch-posting.ts';
import { claimOf, type RequestClaim } from './claim.ts';
import { Consultation, type Consulted } from './consultation.ts';
import type { EnclaveAnswer } from './enclave-client.ts';
import { findEnvelope } from './envelopes.ts';
import { newestThatCounts } from './evidence.ts';
import { addOwnShare } from './own-share.ts';
import { BLOCK_BELL, type ConnectorPorts, keyBell, overBell, turnBell } from './ports.ts';
import { type Postable, postAlone } from './posting.ts';
import { isTurn, type Moment, rankOf } from './rotation.ts';
import { Settled } from './settled.ts';

/** Requests at the enclave, with their proofs and envelopes in memory. */
const AT_ENCLAVE = 16;
/** Answers that wait for their turn in memory; the enclave repeats those that had to go. */
const MAX_READY = 256;
const EXPIRED = 1n;
const NOTHING: Uint8Array = new Uint8Array(0);

interface Ready {
  readonly id: bigint;
  readonly answer: Postable;
  /** When this connector had it. */
  readonly since: Moment;
}

/**
 * Carries a request from its event to its answer on chain. What is done is read from the chain each time, so it may be killed anywhere,
 * and the connectors of other nodes may do the same.
 */
export class RequestWork {
  readonly #ports: ConnectorPorts;
  readonly #consultation: Consultation;
  readonly #settled: Settled;
  readonly #batches: BatchPosting;
  readonly #turns = new Turns(AT_ENCLAVE);
  readonly #ready = new Map<string, Ready>();
  /** Public requests whose answers this connector is about to post. */
  readonly #coming = new Set<bigint>();
  /** Requests that events said to be over. */
  readonly #over = new Set<bigint>();
  /** Pieces of work whose user key is asked for. */
  readonly #askedKeys = new Map<string, string>();
  /** Pieces of work whose kept answer the contract refuses. */
  readonly #refused = new Set<string>();
  readonly #sizes = new Map<bigint, number>();

  constructor(ports: ConnectorPorts) {
    this.#ports = ports;
    this.#consultation = new Consultation(ports);
    const { gateway } = ports.network;
    this.#settled = new Settled(() => newestThatCounts(gateway, ports.signal));
    this.#batches = new BatchPosting(ports, {
      areMoreComing: () => this.#coming.size > 0,
      isOver: (id) => this.#over.has(id),
    });
  }

  /** An event says that a request is answered or expired. */
  over(id: bigint): void {
    this.#over.add(id);
    if (this.#over.size <= MAX_READY * 16) return;
    const [oldest] = this.#over;
    if (oldest !== undefined) this.#over.delete(oldest);
  }

  /** Bells of the answers whose turn it is, as far as it is known: a block alone wakes none of the others. */
  turnsAt(now: Moment): readonly string[] {
    const { party, silence } = this.#ports;
    return [...this.#ready.values()].flatMap(({ id, answer, since }) => {
      const size = this.#sizes.get(answer.epoch);
      const isNow = size === undefined || isTurn(rankOf(id, party, size), since, now, silence);
      return isNow ? [turnBell(id)] : [];
    });
  }

  /** @throws {KmsError} for what is to be tried again */
  async attempt(key: string, asked: AskedRequest): Promise<Attempt> {
    const attempt = await this.#attempt(key, asked).finally(() => this.#comesNoMore(asked.args.id));
    if (attempt === 'done' || attempt === 'never') await this.#forget(key, asked.args.id);
    return attempt;
  }

  async #attempt(key: string, asked: AskedRequest): Promise<Attempt> {
    const { head, signal, log, network } = this.#ports;
    const { id, expiresAt } = asked.args;
    const waits = { later: [turnBell(id), overBell(id)] };
    const known = this.#ready.get(key);
    if (known !== undefined && !this.#over.has(id) && !(await this.#mayPost(id, known))) return waits;
    if (asked.kind === 'public' && (known !== undefined || this.#isFirst(id))) this.#coming.add(id);
    const { decryptions } = network.gateway;
    const [commitment, answer] = await Promise.all([
      read(decryptions, 'requests', [id]),
      read(decryptions, 'answers', [id]),
    ]);
    if (commitment !== hexOf(requestCommitment(asked.request))) {
      // Its block is no more. Where it stands now, it is delivered again.
      log('warn', 'request-undone', { count: Number(id) });
      return 'done';
    }
    const answered = BigInt(answer);
    if (answered !== 0n) return this.#finish(key, asked, answered === EXPIRED);
    this.#settled.forget(key);
    this.#over.delete(id);
    if ((await head.now(signal)).timestamp > expiresAt) {
      log('warn', 'request-expired', { count: Number(id) });
      return 'done';
    }
    const ready = known ?? (await this.#obtain(key, asked));
    if ('attempt' in ready) return ready.attempt;
    if (!(await this.#mayPost(id, ready))) return waits;
    return this.#post(key, asked, ready.answer);
  }

  async #mayPost(id: bigint, { answer, since }: Ready): Promise<boolean> {
    const { head, signal, party, silence } = this.#ports;
    const rank = rankOf(id, party, await this.#committeeSize(answer.epoch));
    return isTurn(rank, since, await head.now(signal), silence);
  }

  /** Whether this connector is the first to post, as far as it knows the committee: yes before it knows any. */
  #isFirst(id: bigint): boolean {
    const size = [...this.#sizes.values()].at(-1);
    return size === undefined || rankOf(id, this.#ports.party, size) === 0;
  }

  #comesNoMore(id: bigint): void {
    if (this.#coming.delete(id)) this.#batches.flushIfAll();
  }

  async #post(key: string, asked: AskedRequest, answer: Postable): Promise<Attempt> {
    const { log } = this.#ports;
    const { id } = asked.args;
    const outcome = await this.#sent(asked, answer);
    if (outcome.kind === 'refused') {
      // The epoch may be over, say: the enclave has another answer then, or none.
      log('error', 'answer-refused', { count: Number(id), ...revertOf(outcome.refusal) });
      this.#ready.delete(key);
      this.#refused.add(key);
      return { later: [overBell(id)] };
    }
    if (outcome.kind === 'mined') log('info', 'answer-posted', { count: Number(id) });
    return this.#finish(key, asked, false);
  }

  #sent(asked: AskedRequest, answer: Postable): Promise<SendOutcome> {
    if (answer.kind !== 'public') return postAlone(this.#ports, asked, answer);
    this.#coming.delete(asked.args.id);
    return this.#batches.post(asked, answer);
  }

  /** It is answered: a user's request may lack this node's share, and the answer has to come to stay. */
  async #finish(key: string, asked: AskedRequest, isExpired: boolean): Promise<Attempt> {
    const { network, shares, signal } = this.#ports;
    const { id } = asked.args;
    const kept = asked.kind === 'user' && !isExpired ? await shares.answer(id) : undefined;
    if (kept !== undefined) await addOwnShare(this.#ports, asked, kept);
    const { number } = await network.gateway.chain.latest(signal);
    // Unless it is gone again, in which case this is asked again.
    this.#over.add(id);
    return (await this.#settled.isSettled(key, number)) ? 'done' : { later: [BLOCK_BELL] };
  }

  async #obtain(key: string, asked: AskedRequest): Promise<Ready | { readonly attempt: Attempt }> {
    const { shares } = this.#ports;
    const { kind, args } = asked;
    if (kind === 'user' && !this.#refused.has(key)) {
      // A process before this one may have had it from the enclave, whose next share would be another one.
      const kept = await shares.answer(args.id);
      if (kept !== undefined) return this.#hold(key, args.id, { kind, epoch: kept.epoch, words: kept.words });
    }
    const userKey = await this.#userKey(key, asked);
    if (userKey === undefined) {
      return { attempt: { later: [keyBell(toHex(asked.request.publicKeyHash)), overBell(args.id)] } };
    }
    const found = await this.#turns.run(() => this.#askEnclave(key, asked, userKey));
    if (found === 'over') return { attempt: { later: [BLOCK_BELL] } };
    if ('attempt' in found) return found;
    const { answer, claim } = found.answer;
    const { epoch, words, body } = answer;
    if (kind === 'user') await shares.keep(args.id, answer);
    this.#refused.delete(key);
    if (kind === 'public') return this.#hold(key, args.id, { kind, epoch, words, result: body });
    return this.#hold(key, args.id, kind === 'user' ? { kind, epoch, words } : { kind, epoch, words, claim });
  }

  async #askEnclave(
    key: string,
    asked: AskedRequest,
    userKey: Uint8Array,
  ): Promise<Consulted<{ readonly answer: EnclaveAnswer; readonly claim: RequestClaim }>> {
    const { network, enclave, envelopes: sources, signal } = this.#ports;
    const claim = await claimOf(network, asked);
    // Before the proofs, which grow old.
    const envelopes: Uint8Array[] = [];
    for (const { ciphertext } of asked.kind === 'transfer' ? [] : claim.ciphertexts) {
      envelopes.push(await findEnvelope(sources, ciphertext, signal));
    }
    return this.#consultation.ask(key, claim, async (proven) => ({
      answer: await enclave.answer({ ...proven, envelopes, userKey }, signal),
      claim,
    }));
  }

  /** @returns undefined while the user has not brought it */
  async #userKey(key: string, { kind, request }: AskedRequest): Promise<Uint8Array | undefined> {
    if (kind !== 'user') return NOTHING;
    const { userKeys } = this.#ports;
    const hash = toHex(request.publicKeyHash);
    if (!this.#askedKeys.has(key)) {
      userKeys.ask(hash);
      this.#askedKeys.set(key, hash);
    }
    return userKeys.find(hash);
  }

  async #hold(key: string, id: bigint, answer: Postable): Promise<Ready> {
    const { head, signal } = this.#ports;
    const ready = { id, answer, since: await head.now(signal) };
    this.#ready.set(key, ready);
    const [oldest] = this.#ready.keys();
    if (this.#ready.size > MAX_READY && oldest !== undefined) this.#ready.delete(oldest);
    return ready;
  }

  async #committeeSize(epoch: bigint): Promise<number> {
    const known = this.#sizes.get(epoch);
    if (known !== undefined) return known;
    const { n } = await read(this.#ports.network.gateway.registry, 'epochs', [epoch]);
    this.#sizes.set(epoch, n);
    return n;
  }

  async #forget(key: string, id: bigint): Promise<void> {
    this.#ready.delete(key);
    this.#refused.delete(key);
    this.#over.delete(id);
    const hash = this.#askedKeys.get(key);
    this.#askedKeys.delete(key);
    if (hash !== undefined) await this.#ports.userKeys.release(hash);
  }
}
