import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import type { VerifiedNode } from '../../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import type { Rng } from '../../shared/primitives.ts';
import { PeerService } from '../../shared/wire/generated/kms/v1/peer_pb.js';
import { CHANNEL_LIMITS, type ChannelLimits } from './channel.ts';
import type { ExchangeTiming } from './exchange.ts';
import { grpcOver, grpcServer, MAX_FRAME_BYTES, WINDOW_BYTES } from './http2.ts';
import type { Line } from './line.ts';
import { Peer } from './peer.ts';
import type { VerifiedSocket } from './tls.ts';
import { HANDSHAKE_TIMEOUT_MS } from './tls-policy.ts';

export interface PeerHandlers {
  /**
   * A message of the party that TLS verified, from that process of it. A promise holds back the process until it settles;
   * order is kept either way. The payload belongs to the handler.
   */
  onMessage(from: PartyId, payload: Uint8Array, line: Line): void | Promise<void>;
  /** A process of a member is connected, again after each loss. It gets the member's messages only once line.admit() says so. */
  onLine(line: Line): void;
  /** Another process of the member was admitted. @returns what the displaced one is told before its connection ends */
  onDisplaced?(line: Line): Uint8Array | undefined;
  /** The admitted process of a member came up or went down. */
  onPeer?(party: PartyId, up: boolean): void;
}

export interface PeerNetworkOptions extends PeerHandlers {
  readonly self: PartyId;
  /** Every party of the network, self included. */
  readonly parties: readonly PartyId[];
  /** A verified connection to that party. @throws {KmsError} */
  readonly dial: (party: PartyId) => Promise<VerifiedSocket>;
  readonly rng: Rng;
  readonly log: Log;
  readonly limits?: ChannelLimits;
  readonly timing?: ExchangeTiming;
}

const BACKOFF_MS = { first: 50, last: 2_000 };

/**
 * Messages between the members of one network: one long-lived stream per pair, dialled by the lower party id and dialled
 * again whenever it breaks. Per pair: order kept, nothing lost while both processes live, nothing delivered twice to one
 * process life.
 */
export class PeerNetwork {
  readonly #self: PartyId;
  readonly #peers: ReadonlyMap<PartyId, Peer>;
  readonly #dial: PeerNetworkOptions['dial'];
  readonly #log: Log;
  readonly #stop = new AbortController();
  /** Ends the wait before a member is dialled again. */
  readonly #impatient = new Map<PartyId, AbortController>();
  #dialling: Promise<unknown> = Promise.resolve();

  constructor(options: PeerNetworkOptions) {
    this.#self = options.self;
    this.#dial = options.dial;
    this.#log = options.log;
    const others = options.parties.filter((party) => party !== options.self);
    this.#peers = new Map(
      others.map((party) => [
        party,
        new Peer({ ...options, party, limits: options.limits ?? CHANNEL_LIMITS, handlers: options }),
      ]),
    );
  }

  /** Begins to dial. Incoming connections are served from the start. */
  start(): void {
    const higher = [...this.#peers.values()].filter((peer) => peer.party > this.#self);
    this.#dialling = Promise.all(higher.map((peer) => this.#keepDialling(peer)));
  }

  /**
   * Queues a message; it is kept by reference until acknowledged and must not change. If the peer has not taken its
   * messages for so long that its outbox is full, the whole outbox is dropped and the connection closed (logged as BUSY).
   * @throws {KmsError} TOO_LARGE above 8 MiB; BAD_INPUT if `to` is no other member or the payload is empty
   */
  send(to: PartyId, payload: Uint8Array): void {
    const peer = this.#peers.get(to);
    if (peer === undefined)
      throw new KmsError('BAD_INPUT', `party ${to} is not another member of this network`);
    if (!this.#stop.signal.aborted) peer.send(payload);
  }

  /** That member shows signs of life: it is dialled without more waiting. */
  expect(party: PartyId): void {
    this.#impatient.get(party)?.abort();
  }

  /** Processes of members that are connected now, admitted or not. */
  lines(): readonly Line[] {
    return [...this.#peers.values()].flatMap((peer) => peer.lines);
  }

  /** True if this is the process that the member's messages go to. */
  isAdmitted(line: Line): boolean {
    return this.#peers.get(line.party)?.isAdmitted(line) ?? false;
  }

  /** Parties whose stream is up now, ascending. */
  connected(): readonly PartyId[] {
    return [...this.#peers.values()].filter((peer) => peer.up).map((peer) => peer.party);
  }

  /** Serves a connection that `from` opened and TLS verified. */
  serve(from: PartyId, socket: TLSSocket, node: VerifiedNode): void {
    const peer = this.#peers.get(from);
    // The lower id dials: a connection the wrong way round would race with this side's own.
    if (peer === undefined || from > this.#self || this.#stop.signal.aborted) {
      this.#log('warn', 'peer-refused', { party: from, code: 'BAD_PEER' });
      socket.destroy();
      return;
    }
    let exchanges = 0;
    const server = grpcServer({
      routes: (router) => {
        router.service(PeerService, {
          async *exchange(requests) {
            exchanges += 1;
            if (exchanges > 1) throw new ConnectError('one exchange per connection', Code.ResourceExhausted);
            const exchange = peer.attach(socket, node);
            void exchange.consume(framesOf(requests));
            for await (const frame of exchange.outgoing()) yield { frame };
          },
        });
      },
      readMaxBytes: MAX_FRAME_BYTES,
      windowBytes: WINDOW_BYTES,
      maxConcurrentStreams: 2,
      maxRequests: 2,
      refusal: () => new ConnectError('one exchange per connection', Code.ResourceExhausted),
    });
    const idle = setTimeout(() => exchanges === 0 && socket.destroy(), HANDSHAKE_TIMEOUT_MS);
    socket.once('close', () => clearTimeout(idle));
    server.serve(socket);
  }

  /** Closes every connection and stops dialling. Queued messages are forgotten. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const peer of this.#peers.values()) peer.close();
    await this.#dialling;
  }

  async #keepDialling(peer: Peer): Promise<void> {
    const { signal } = this.#stop;
    let backoffMs = BACKOFF_MS.first;
    while (!signal.aborted) {
      try {
        const verified = await this.#dial(peer.party);
        const beganMs = performance.now();
        if (signal.aborted) verified.socket.destroy();
        // Whoever keeps hanging up is not dialled any faster for having said hello.
        else if ((await this.#converse(peer, verified)) && performance.now() - beganMs > BACKOFF_MS.last) {
          backoffMs = BACKOFF_MS.first;
        }
      } catch (error) {
        this.#log('warn', 'dial-failed', { party: peer.party, code: codeOf(error) });
      }
      const jitterMs = randomInt(Math.ceil(backoffMs / 2) + 1);
      const hurry = new AbortController();
      this.#impatient.set(peer.party, hurry);
      const woken = AbortSignal.any([signal, hurry.signal]);
      await sleep(backoffMs / 2 + jitterMs, undefined, { signal: woken }).catch(() => {});
      backoffMs = hurry.signal.aborted ? BACKOFF_MS.first : Math.min(2 * backoffMs, BACKOFF_MS.last);
    }
  }

  /** Runs one dialled connection to its end. True if the peer spoke on it. */
  async #converse(peer: Peer, { socket, node }: VerifiedSocket): Promise<boolean> {
    const transport = grpcOver(socket);
    const exchange = peer.attach(socket, node);
    const client = createClient(PeerService, transport);
    async function* requests() {
      for await (const frame of exchange.outgoing()) yield { frame };
    }
    await exchange.consume(framesOf(client.exchange(requests())));
    await exchange.ended;
    return exchange.wasReady;
  }
}

async function* framesOf<F>(messages: AsyncIterable<{ readonly frame?: F }>): AsyncGenerator<F | undefined> {
  for await (const message of messages) yield message.frame;
}
