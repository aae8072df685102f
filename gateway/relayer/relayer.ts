import { join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import type { ChainLogEntry } from '../adapter/chain-data.ts';
import type { ChainConfig } from '../adapter/config-file.ts';
import type { ReadBlock } from '../adapter/confirmed-range.ts';
import { CursorFile } from '../adapter/cursor.ts';
import { eventOf, logOf, textOf } from '../adapter/events.ts';
import { type Finality, Follower } from '../adapter/follower.ts';
import { WorkList } from '../adapter/work-list.ts';
import { type Attempt, Workshop, type WorkshopOptions } from '../adapter/workshop.ts';
import { handOver } from './committee.ts';
import { KEY_GENERATION, LIFECYCLE, tellKey } from './key-statements.ts';
import type { HostSide, RelayerNetwork } from './network.ts';
import { answerBell, askedKey, carry, handleBell } from './public-decryption.ts';
import { admit } from './transfer.ts';

export interface RelayerOptions {
  readonly network: RelayerNetwork;
  /** Of this relayer alone. */
  readonly stateDirectory: string;
  readonly gatewayFinality: Finality;
  /** By chain id. */
  readonly follow: ReadonlyMap<bigint, Pick<ChainConfig, 'startBlock' | 'finality' | 'pollMs'>>;
  readonly signal: AbortSignal;
  readonly backoff?: WorkshopOptions['backoff'];
  /** Of the gateway, and of hosts without one of their own. */
  readonly pollMs?: number;
}

const MAX_WORK = 10_000;

/**
 * Carries requests, answers, handles, keys and committees between the gateway and its host chains. Anybody's: it is trusted with
 * nothing, and any number of them work side by side. Each event becomes a piece of work on disk before its block counts as handled.
 */
export class Relayer {
  readonly #o: RelayerOptions;
  readonly #workshop: Workshop;

  private constructor(options: RelayerOptions, list: WorkList) {
    this.#o = options;
    const { log } = options.network;
    const backoff = options.backoff === undefined ? {} : { backoff: options.backoff };
    this.#workshop = new Workshop({
      ...{ list, log, signal: options.signal, ...backoff },
      attempt: ({ key, body }) => this.#attempt(key, logOf(body)),
    });
  }

  static async open(options: RelayerOptions): Promise<Relayer> {
    return new Relayer(options, await WorkList.open(join(options.stateDirectory, 'work'), MAX_WORK));
  }

  /** Until the signal is given. @throws {KmsError} what Follower.run throws */
  async run(): Promise<void> {
    const { network, signal } = this.#o;
    const { gateway, hosts } = network;
    this.#workshop.start();
    const { registry, keys, ciphertexts, decryptions } = gateway;
    const addresses = [registry, keys, ciphertexts, decryptions].map(({ address }) => address);
    const onGateway = this.#follower({
      ...{
        chain: gateway.chain,
        heads: gateway.heads,
        filter: { addresses },
        startBlock: gateway.startBlock,
      },
      ...{ finality: this.#o.gatewayFinality, handler: (block) => this.#onGateway(block) },
    });
    const onHosts = [...hosts.values()].map((host) => {
      const follow = this.#o.follow.get(host.chain.chainId);
      if (follow === undefined)
        throw new KmsError('BAD_INPUT', `chain ${host.chain.chainId} is to be followed from where?`);
      return this.#follower({
        ...{ chain: host.chain, heads: host.heads, filter: { addresses: [host.oracle.address] }, ...follow },
        handler: (block) => this.#onHost(host, block),
      });
    });
    await Promise.all([onGateway, ...onHosts].map((follower) => follower.run(signal)));
  }

  #follower(
    of: Pick<
      ConstructorParameters<typeof Follower>[0],
      'chain' | 'heads' | 'filter' | 'startBlock' | 'finality' | 'handler' | 'pollMs'
    >,
  ) {
    const { stateDirectory, network } = this.#o;
    const pollMs = of.pollMs ?? this.#o.pollMs;
    const { chainId } = of.chain;
    const cursor = new CursorFile(join(stateDirectory, `cursor-${chainId}.json`), chainId);
    return new Follower({ ...of, cursor, log: network.log, ...(pollMs === undefined ? {} : { pollMs }) });
  }

  async #onHost({ oracle, chain }: HostSide, { logs }: ReadBlock): Promise<void> {
    const asked = logs.flatMap((log) => {
      const event = eventOf(oracle, log);
      if (event?.eventName !== 'DecryptionRequested') return [];
      return [{ key: askedKey(chain.chainId, event.args), body: textOf(log) }];
    });
    await Promise.all(asked.map((work) => this.#workshop.add(work)));
  }

  async #onGateway({ logs }: ReadBlock): Promise<void> {
    const { gateway, hosts } = this.#o.network;
    for (const log of logs) {
      const answer = eventOf(gateway.decryptions, log);
      if (answer?.eventName === 'PublicDecryptionAnswered' || answer?.eventName === 'RequestExpired') {
        this.#workshop.ring(answerBell(answer.args.id));
      }
      if (answer?.eventName === 'HandleTransferAnswered') {
        const key = `admit-${answer.args.id}-${log.blockHash.slice(2)}`;
        await this.#workshop.add({ key, body: textOf(log) });
      }
      const seen = eventOf(gateway.ciphertexts, log);
      if (seen?.eventName === 'CiphertextCommitted' || seen?.eventName === 'AccessMirrored') {
        this.#workshop.ring(handleBell(seen.args.handle));
      }
      const command = eventOf(gateway.keys, log);
      const epoch = eventOf(gateway.registry, log);
      for (const chainId of hosts.keys()) {
        if (
          command?.eventName === 'CommandActivated' &&
          [KEY_GENERATION, LIFECYCLE].includes(command.args.kind)
        ) {
          const key = `key-${chainId}-${command.args.id}-${log.blockHash.slice(2)}`;
          await this.#workshop.add({ key, body: textOf(log) });
        }
        if (epoch?.eventName === 'EpochActivated' && epoch.args.epoch > 0n) {
          const key = `committee-${chainId}-${epoch.args.epoch}-${log.blockHash.slice(2)}`;
          await this.#workshop.add({ key, body: textOf(log) });
        }
      }
    }
  }

  #attempt(key: string, log: ChainLogEntry): Promise<Attempt> {
    const { network } = this.#o;
    const [kind, chainId = ''] = key.split('-');
    if (kind === 'admit') return admit(network, log);
    const host = network.hosts.get(BigInt(chainId));
    // A chain that is configured no longer.
    if (host === undefined) return Promise.resolve('never');
    if (kind === 'ask') return carry(network, host, log);
    return kind === 'key' ? tellKey(network, host, log) : handOver(network, host, log);
  }
}
