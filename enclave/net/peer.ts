import type { TLSSocket } from 'node:tls';
import { codeOf } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import type { Rng } from '../../shared/primitives.ts';
import { Channel, type ChannelLimits } from './channel.ts';
import { Exchange, type ExchangeTiming } from './exchange.ts';
import type { PeerHandlers } from './peers.ts';

/** One other member: its channel, the connection that carries it now, and the order of its deliveries. */
export class Peer {
  readonly party: PartyId;
  readonly #channel: Channel;
  readonly #handlers: PeerHandlers;
  readonly #log: Log;
  readonly #timing: ExchangeTiming | undefined;
  #exchange: Exchange | undefined;
  #delivery: Promise<void> = Promise.resolve();
  #up = false;

  constructor(options: {
    readonly party: PartyId;
    readonly limits: ChannelLimits;
    readonly handlers: PeerHandlers;
    readonly rng: Rng;
    readonly log: Log;
    readonly timing?: ExchangeTiming;
  }) {
    this.party = options.party;
    this.#channel = new Channel(options.rng, options.limits);
    this.#handlers = options.handlers;
    this.#timing = options.timing;
    this.#log = (level, event, fields) => options.log(level, event, { party: options.party, ...fields });
  }

  get up(): boolean {
    return this.#up;
  }

  /** @throws {KmsError} TOO_LARGE, BAD_INPUT; a full outbox is dropped, not thrown */
  send(payload: Uint8Array): void {
    try {
      this.#channel.push(payload);
      this.#exchange?.wake();
    } catch (error) {
      if (codeOf(error) !== 'BUSY') throw error;
      this.#log('error', 'outbox-dropped', { code: 'BUSY', bytes: this.#channel.outboxBytes });
      this.#exchange?.close('outbox-full');
      this.#channel.drop();
    }
  }

  /** Takes a new connection of this peer; it replaces the one there was. */
  attach(socket: TLSSocket): Exchange {
    this.#exchange?.close('replaced');
    this.#setUp(false);
    const exchange = new Exchange({
      channel: this.#channel,
      socket,
      deliver: (payload) => this.#deliver(payload),
      onReady: () => this.#setUp(true),
      log: this.#log,
      ...(this.#timing === undefined ? {} : { timing: this.#timing }),
    });
    this.#exchange = exchange;
    void exchange.ended.then(() => {
      if (this.#exchange !== exchange) return;
      this.#exchange = undefined;
      this.#setUp(false);
    });
    return exchange;
  }

  close(): void {
    this.#exchange?.close('shutdown');
  }

  /** Deliveries of one peer happen one after the other, also across two of its connections. */
  #deliver(payload: Uint8Array): Promise<void> {
    this.#delivery = this.#delivery.then(async () => {
      try {
        await this.#handlers.onMessage(this.party, payload);
      } catch (error) {
        this.#log('error', 'message-handler-failed', { code: codeOf(error) });
      }
    });
    return this.#delivery;
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#log('info', up ? 'peer-up' : 'peer-down');
    this.#handlers.onPeer?.(this.party, up);
  }
}
