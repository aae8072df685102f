import { join } from 'node:path';
import type { Evaluator } from '../../client/seal/evaluator.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { type Derivation, operations } from '../../shared/gateway/handle.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { ChainLogEntry, Hex } from '../adapter/chain-data.ts';
import type { ReadBlock } from '../adapter/confirmed-range.ts';
import { CursorFile } from '../adapter/cursor.ts';
import { checkedDerivation } from '../adapter/derivation.ts';
import { eventOf, logOf, textOf } from '../adapter/events.ts';
import { type Finality, Follower } from '../adapter/follower.ts';
import type { Heads } from '../adapter/heads.ts';
import type { ChainLog } from '../adapter/log.ts';
import type { GatewayContracts, HostContracts } from '../adapter/network-contracts.ts';
import type { Sender } from '../adapter/sender.ts';
import { Turns } from '../adapter/turns.ts';
import { WorkList } from '../adapter/work-list.ts';
import { type Attempt, Workshop, type WorkshopOptions } from '../adapter/workshop.ts';
import { Committer } from './committer.ts';
import { digestOf, type EnvelopeStore, readEnvelope } from './envelope-store.ts';
import { checkInput, evaluate } from './evaluation.ts';
import { type EvaluationKeys, Evaluators } from './evaluation-keys.ts';
import { type KnownCiphertext, Ledger } from './ledger.ts';
import type { Uploads } from './uploads.ts';

export interface FollowedHost extends HostContracts {
  readonly startBlock: bigint;
  readonly finality: Finality;
  readonly heads?: Heads;
  readonly pollMs?: number;
}

export interface CoprocessorOptions {
  readonly gateway: GatewayContracts;
  readonly gatewayStartBlock: bigint;
  /** Of an account that the registry knows as a coprocessor. */
  readonly sender: Sender;
  readonly hosts: readonly FollowedHost[];
  readonly store: EnvelopeStore;
  /** Its onUpload must call uploaded(). */
  readonly uploads: Uploads;
  readonly keys: EvaluationKeys;
  /** Of this process alone. */
  readonly stateDirectory: string;
  readonly log: ChainLog;
  readonly signal: AbortSignal;
  readonly backoff?: WorkshopOptions['backoff'];
  readonly pollMs?: number;
}

const MAX_WORK = 10_000;
/** What no later attempt would change. */
const FOR_GOOD = new Set(['BAD_INPUT', 'TOO_NOISY', 'WRONG_LEVEL', 'WRONG_KEY', 'UNKNOWN_PRESET']);

const uploadBell = (digest: Hex): string => `upload-${digest}`;
const handleBell = (handle: Hex): string => `handle-${handle}`;

/**
 * Evaluates what contracts of host chains compute on handles, keeps the results where nodes find them, and says on the gateway which bytes
 * each handle names and who may use it. Its word counts with a majority of its kind; it holds no key but its account's.
 */
export class Coprocessor {
  readonly #o: CoprocessorOptions;
  readonly #workshop: Workshop;
  readonly #ledger: Ledger;
  readonly #committer: Committer;
  readonly #evaluators: Evaluators;
  /** Evaluation occupies the processor; the loaded evaluator is one's own meanwhile. */
  readonly #evaluations = new Turns(1);

  private constructor(options: CoprocessorOptions, list: WorkList) {
    this.#o = options;
    const { log, signal, stateDirectory, gateway, sender, backoff } = options;
    this.#ledger = new Ledger(join(stateDirectory, 'ledger'));
    this.#committer = new Committer(gateway, sender, options.gatewayStartBlock);
    this.#evaluators = new Evaluators(options.keys);
    this.#workshop = new Workshop({
      ...{ list, log, signal, atOnce: 32, ...(backoff === undefined ? {} : { backoff }) },
      attempt: ({ key, body }) => this.#attempt(key, logOf(body)),
    });
  }

  static async open(options: CoprocessorOptions): Promise<Coprocessor> {
    return new Coprocessor(options, await WorkList.open(join(options.stateDirectory, 'work'), MAX_WORK));
  }

  /** Until the signal is given. @throws {KmsError} what Follower.run throws */
  async run(): Promise<void> {
    const { hosts, stateDirectory, log, signal } = this.#o;
    this.#workshop.start();
    const followers = hosts.map((host) => {
      const { chain, heads, compute, accessControl, startBlock, finality } = host;
      const cursor = new CursorFile(join(stateDirectory, `cursor-${chain.chainId}.json`), chain.chainId);
      const filter = { addresses: [compute.address, accessControl.address] };
      const pollMs = this.#o.pollMs ?? host.pollMs;
      const poll = pollMs === undefined ? {} : { pollMs };
      const handler = (block: ReadBlock): Promise<void> => this.#onBlock(host, block);
      return new Follower({ chain, heads, filter, startBlock, finality, cursor, handler, log, ...poll });
    });
    try {
      await Promise.all(followers.map((follower) => follower.run(signal)));
    } finally {
      await this.#evaluations.run(async () => this.#evaluators[Symbol.dispose]());
    }
  }

  /** An envelope has come. */
  uploaded(digest: Hex): void {
    this.#workshop.ring(uploadBell(digest));
  }

  async #onBlock(host: HostContracts, { logs }: ReadBlock): Promise<void> {
    const { chainId } = host.chain;
    for (const log of logs) {
      const place = `${String(log.blockNumber).padStart(12, '0')}-${String(log.logIndex).padStart(6, '0')}`;
      const name = `${place}-${log.blockHash.slice(2)}`;
      const computed = eventOf(host.compute, log);
      if (computed?.eventName === 'Computed') {
        await this.#workshop.add({ key: `compute-${chainId}-${name}`, body: textOf(log) });
      }
      if (eventOf(host.accessControl, log)?.eventName === 'AccessChanged') {
        await this.#workshop.add({ key: `access-${chainId}-${name}`, body: textOf(log) });
      }
    }
  }

  #attempt(key: string, log: ChainLogEntry): Promise<Attempt> {
    const [kind, chainId] = key.split('-');
    const host = this.#o.hosts.find(({ chain }) => String(chain.chainId) === chainId);
    // A chain that is configured no longer.
    if (host === undefined) return Promise.resolve('never');
    return kind === 'compute' ? this.#compute(host, log) : this.#mirror(host, log);
  }

  async #mirror({ accessControl, chain }: HostContracts, log: ChainLogEntry): Promise<Attempt> {
    const event = eventOf(accessControl, log);
    if (event?.eventName !== 'AccessChanged') throw new KmsError('BAD_ENCODING', 'no change of access');
    const access = { ...event.args, hostChainId: chain.chainId };
    return (await this.#committer.say({ kind: 'access', access })) ? 'done' : { later: [] };
  }

  async #compute({ compute, chain }: HostContracts, log: ChainLogEntry): Promise<Attempt> {
    const event = eventOf(compute, log);
    if (event?.eventName !== 'Computed') throw new KmsError('BAD_ENCODING', 'no computation');
    const { handle, provenance, derivation: emitted } = event.args;
    let derivation: Derivation;
    try {
      const said = { handle, provenance, chainId: chain.chainId, compute: compute.address };
      derivation = checkedDerivation(emitted, said);
    } catch (error) {
      this.#o.log('error', 'handle-wrong', { chain: Number(chain.chainId), code: codeOf(error) });
      return 'never';
    }
    const known = (await this.#ledger.get(handle)) ?? (await this.#evaluate(handle, provenance, derivation));
    if (typeof known === 'object' && 'later' in known) return known;
    if (known !== 'dead') {
      return (await this.#committer.say({ kind: 'ciphertext', ciphertext: known })) ? 'done' : { later: [] };
    }
    this.#o.log('warn', 'handle-without-ciphertext', { chain: Number(chain.chainId), item: handle });
    return 'done';
  }

  /** The result, stored and entered into the ledger, in this order: what the ledger names is in the store. */
  async #evaluate(
    handle: Hex,
    provenance: Hex,
    derivation: Derivation,
  ): Promise<KnownCiphertext | 'dead' | { readonly later: readonly string[] }> {
    const { store, uploads } = this.#o;
    let envelope: Uint8Array | { readonly later: readonly string[] } | 'dead';
    try {
      envelope =
        derivation.operation === operations.input
          ? await this.#input(derivation)
          : await this.#result(derivation);
    } catch (error) {
      if (!FOR_GOOD.has(codeOf(error))) throw error;
      envelope = 'dead';
    }
    if (envelope === 'dead') {
      await this.#ledger.bury(handle);
      this.#workshop.ring(handleBell(handle));
      return 'dead';
    }
    if (!(envelope instanceof Uint8Array)) return envelope;
    await store.put(handle, envelope);
    const { kind, level, bound, keyId } = derivation;
    const entry: KnownCiphertext = {
      ...{ handle, provenance, level, bound, digest: digestOf(envelope) },
      ...{ keyId: `0x${toHex(keyId)}`, kind: kind === 'scalar' ? 1 : 2 },
    };
    await this.#ledger.put(entry);
    this.#workshop.ring(handleBell(handle));
    if (derivation.operation === operations.input) await uploads.drop(entry.digest);
    return entry;
  }

  async #input(derivation: Derivation): Promise<Uint8Array | { readonly later: readonly string[] }> {
    const digest: Hex = `0x${toHex(derivation.argument)}`;
    this.#o.uploads.name(digest);
    const envelope = await this.#o.uploads.get(digest);
    if (envelope === undefined) return { later: [uploadBell(digest)] };
    try {
      checkInput(derivation, envelope);
    } catch (error) {
      // Its digest is the one named: nobody will ever bring another.
      if (['BAD_ENCODING', 'TOO_LARGE'].includes(codeOf(error))) {
        throw new KmsError('BAD_INPUT', 'an input that is no envelope', { cause: error });
      }
      throw error;
    }
    return envelope;
  }

  async #result(
    derivation: Derivation,
  ): Promise<Uint8Array | { readonly later: readonly string[] } | 'dead'> {
    const operands: Uint8Array[] = [];
    for (const input of derivation.inputs) {
      const handle: Hex = `0x${toHex(input)}`;
      const known = await this.#ledger.get(handle);
      if (known === 'dead') return 'dead';
      const envelope =
        known === undefined ? undefined : await readEnvelope(this.#o.store, handle, known.digest);
      if (envelope === undefined) return { later: [handleBell(handle)] };
      operands.push(envelope);
    }
    return this.#evaluations.run(async () => {
      const evaluator = await this.#evaluator(`0x${toHex(derivation.keyId)}`);
      return evaluator === undefined ? { later: [] } : evaluate(derivation, operands, evaluator);
    });
  }

  /** A key that is missing or not the right one may be brought: no result depends on when. */
  async #evaluator(keyId: Hex): Promise<Evaluator | undefined> {
    try {
      return await this.#evaluators.of(keyId);
    } catch (error) {
      this.#o.log('error', 'key-not-usable', { code: codeOf(error) });
      return undefined;
    }
  }
}
