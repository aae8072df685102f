import { join } from 'node:path';
import type { ChainAccount } from '../../gateway/adapter/account.ts';
import { type Backoff, persistently } from '../../gateway/adapter/backoff.ts';
import type { Place } from '../../gateway/adapter/config-file.ts';
import type { ReadBlock } from '../../gateway/adapter/confirmed-range.ts';
import { CursorFile } from '../../gateway/adapter/cursor.ts';
import { eventOf, logOf, textOf } from '../../gateway/adapter/events.ts';
import { Follower } from '../../gateway/adapter/follower.ts';
import type { ChainLog } from '../../gateway/adapter/log.ts';
import { Sender } from '../../gateway/adapter/sender.ts';
import { WorkList } from '../../gateway/adapter/work-list.ts';
import { type Attempt, Workshop, type WorkshopOptions } from '../../gateway/adapter/workshop.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { Anchoring, type AnchorPace } from './anchoring.ts';
import { askedIn, askedKey } from './asked.ts';
import { CommandWork } from './command-work.ts';
import type { ConnectorConfig } from './config.ts';
import type { CertifiedKeys, Enclave } from './enclave-client.ts';
import { directoryEnvelopes, type EnvelopeSource, httpEnvelopes } from './envelopes.ts';
import { Head } from './head.ts';
import { connectNetwork, type EndpointOf } from './network.ts';
import { BLOCK_BELL, type ConnectorPorts, keyBell, overBell } from './ports.ts';
import { RequestWork } from './request-work.ts';
import { type Moment, SILENCE, type Silence } from './rotation.ts';
import { Shares } from './shares.ts';
import { UserKeys } from './user-keys.ts';
import { UserServer } from './user-server.ts';

export interface ConnectorOptions {
  readonly config: ConnectorConfig;
  readonly account: ChainAccount;
  readonly enclave: Enclave;
  /** Of the same node. */
  readonly keys: CertifiedKeys;
  readonly log: ChainLog;
  readonly signal: AbortSignal;
  readonly endpointOf?: EndpointOf;
  readonly silence?: Silence;
  readonly anchorPace?: AnchorPace;
  readonly backoff?: WorkshopOptions['backoff'];
  readonly pollMs?: number;
}

const MAX_WORK = 10_000;
/** It is beside this process. */
const ENCLAVE_BACKOFF: Backoff = { firstMs: 250, longestMs: 1_000 };

/**
 * Stands between the gateway and the enclave of its node: whatever is asked on chain it takes to the enclave with its proofs, and whatever
 * the enclave says it posts. It is trusted with nothing: a connector can be silent, and then others post; it cannot make an enclave
 * say anything. Each event becomes a piece of work on disk before its block counts as handled.
 */
export class Connector {
  readonly #ports: ConnectorPorts;
  readonly #workshop: Workshop;
  readonly #requests: RequestWork;
  readonly #commands: CommandWork;

  private constructor(ports: ConnectorPorts, list: WorkList, backoff: WorkshopOptions['backoff']) {
    this.#ports = ports;
    this.#requests = new RequestWork(ports);
    this.#commands = new CommandWork(ports);
    this.#workshop = new Workshop({
      ...{ list, log: ports.log, signal: ports.signal },
      ...(backoff === undefined ? {} : { backoff }),
      // What waits for the enclave or a block holds no more than its log: the enclave's turns are counted where it is asked.
      atOnce: MAX_WORK,
      attempt: ({ key, body }) => this.#attempt(key, body),
    });
    ports.userKeys.onStored((hash) => this.#workshop.ring(keyBell(hash)));
  }

  /**
   * Until the signal is given. Waits for chains and for the enclave as long as they are down.
   * @throws {KmsError} BAD_INPUT for what only an operator can mend; STORE_FAILED, UNAVAILABLE
   */
  static async run(options: ConnectorOptions): Promise<void> {
    const { config, account, enclave, log, endpointOf } = options;
    const { pollMs = config.gateway.pollMs } = options;
    // One part that fails ends the others: what runs next starts from what is on disk.
    const ending = new AbortController();
    const signal = AbortSignal.any([options.signal, ending.signal]);
    let server: UserServer | undefined;
    try {
      const network = await connectNetwork(config, log, signal, endpointOf);
      const party = await partyOf(enclave, log, signal);
      const { stateDirectory, listen } = config;
      const { chain, heads } = network.gateway;
      const ports: ConnectorPorts = {
        ...{ network, enclave, party, stateDirectory, log, signal },
        envelopes: config.envelopes.map(sourceOf),
        userKeys: await UserKeys.open(join(stateDirectory, 'user-keys')),
        shares: await Shares.open(join(stateDirectory, 'shares')),
        sender: new Sender({ chain, heads, account, log, signal, pollMs }),
        head: new Head(chain, pollMs, heads),
        silence: options.silence ?? SILENCE,
      };
      const list = await WorkList.open(join(stateDirectory, 'work'), MAX_WORK);
      const connector = new Connector(ports, list, options.backoff);
      const { userKeys, shares } = ports;
      const tls = config.tls === undefined ? {} : { tls: config.tls };
      server = await UserServer.open({ listen, ...tls, userKeys, shares, keys: options.keys, party });
      log('info', 'connector-started', { address: account.address, count: party });
      const anchoring = new Anchoring(ports, options.anchorPace);
      await Promise.all([connector.#follow(pollMs), anchoring.run()]);
    } finally {
      ending.abort();
      server?.close();
    }
  }

  async #follow(pollMs: number | undefined): Promise<void> {
    const { network, stateDirectory, log, signal, head } = this.#ports;
    const { chain, heads, keys, decryptions, startBlock, finality } = network.gateway;
    this.#workshop.start();
    const follower = new Follower({
      ...{ chain, heads, startBlock, finality, log, ...(pollMs === undefined ? {} : { pollMs }) },
      filter: { addresses: [keys.address, decryptions.address] },
      cursor: new CursorFile(join(stateDirectory, `cursor-${chain.chainId}.json`), chain.chainId),
      handler: (block) => this.#onBlock(block),
    });
    const onBlock = (now: Moment): void => {
      for (const bell of [BLOCK_BELL, ...this.#requests.turnsAt(now)]) this.#workshop.ring(bell);
    };
    await Promise.all([follower.run(signal), head.run(signal, onBlock)]);
  }

  async #onBlock({ logs }: ReadBlock): Promise<void> {
    const { gateway } = this.#ports.network;
    const asked = logs.flatMap((log) => {
      const one = askedIn(gateway, log);
      return one === undefined ? [] : [{ key: askedKey(one), body: textOf(log) }];
    });
    await Promise.all(asked.map((work) => this.#workshop.add(work)));
    for (const log of logs) {
      const event = eventOf(gateway.decryptions, log);
      switch (event?.eventName) {
        case 'PublicDecryptionAnswered':
        case 'UserDecryptionAnswered':
        case 'HandleTransferAnswered':
        case 'RequestExpired':
          this.#requests.over(event.args.id);
          this.#workshop.ring(overBell(event.args.id));
      }
    }
  }

  #attempt(key: string, body: string): Promise<Attempt> {
    const asked = askedIn(this.#ports.network.gateway, logOf(body));
    if (asked === undefined) throw new KmsError('BAD_ENCODING', 'work of another kind');
    return asked.kind === 'command' ? this.#commands.attempt(key, asked) : this.#requests.attempt(key, asked);
  }
}

/** Which member the enclave says that its node is; waits until it has joined its network. */
function partyOf(enclave: Enclave, log: ChainLog, signal: AbortSignal): Promise<number> {
  const ask = async (): Promise<number> => {
    try {
      const party = await enclave.party(signal);
      if (party > 0) return party;
    } catch (cause) {
      // Whatever it is, a node that starts again may answer.
      throw new KmsError('UNAVAILABLE', 'the enclave does not answer', { cause });
    }
    throw new KmsError('UNAVAILABLE', 'the enclave has joined no network yet');
  };
  const warn = (error: unknown): void => log('warn', 'enclave-unavailable', { code: codeOf(error) });
  return persistently(ask, signal, warn, ENCLAVE_BACKOFF);
}

function sourceOf(place: Place): EnvelopeSource {
  return 'url' in place ? httpEnvelopes(place.url) : directoryEnvelopes(place.directory);
}
