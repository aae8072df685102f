import type { TLSSocket } from 'node:tls';
import type { VerifiedNode } from '../../shared/attestation/node-evidence.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Log } from '../../shared/log.ts';
import type { Rng } from '../../shared/primitives.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { ChannelLimits } from './channel.ts';
import type { Exchange, ExchangeTiming } from './exchange.ts';
import { Line } from './line.ts';
import type { PeerHandlers } from './peers.ts';

/**
 * One other member: the process of it that was admitted, and the one that asks to be. Messages for the member go to the
 * admitted process alone and wait while there is none; another process displaces it only when it is admitted in turn.
 */
export class Peer {
  readonly party: PartyId;
  readonly #options: PeerOptions;
  readonly #log: Log;
  #admitted: Line | undefined;
  #candidate: Line | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #up = false;

  constructor(options: PeerOptions) {
    this.party = options.party;
    this.#options = options;
    this.#log = (level, event, fields) => options.log(level, event, { party: options.party, ...fields });
  }

  /** The admitted process is connected. */
  get up(): boolean {
    return this.#up;
  }

  /** Its processes that are connected now, admitted or not. */
  get lines(): readonly Line[] {
    return [this.#admitted, this.#candidate].filter((line): line is Line => line?.up ?? false);
  }

  isAdmitted(line: Line): boolean {
    return this.#admitted === line;
  }

  /** @throws {KmsError} TOO_LARGE, BAD_INPUT; a full outbox is dropped, not thrown */
  send(payload: Uint8Array): void {
    try {
      if (this.#admitted === undefined) this.#wait(payload);
      else this.#admitted.send(payload);
    } catch (error) {
      if (codeOf(error) !== 'BUSY') throw error;
      const bytes = this.#admitted?.outboxBytes ?? this.#waitingBytes;
      this.#log('error', 'outbox-dropped', { code: 'BUSY', bytes });
      this.#admitted?.drop();
      this.#forget();
    }
  }

  /** Takes a new connection of one of the member's processes; it replaces that process's former one. */
  attach(socket: TLSSocket, node: VerifiedNode): Exchange {
    return this.#lineOf(node).attach(socket, node);
  }

  close(): void {
    for (const line of [this.#admitted, this.#candidate]) line?.close('shutdown');
  }

  #lineOf(node: VerifiedNode): Line {
    const key = toHex(node.spki);
    const known = [this.#admitted, this.#candidate].find((line) => line?.key === key);
    if (known !== undefined) return known;
    const { party, limits, rng, timing, handlers } = this.#options;
    const line = new Line(node, {
      party,
      limits,
      rng,
      log: this.#log,
      ...(timing === undefined ? {} : { timing }),
      onMessage: (from, payload) => handlers.onMessage(party, payload, from),
      onChange: (changed) => this.#changed(changed),
      onAdmit: (admitted) => this.#admit(admitted),
    });
    this.#candidate?.close('replaced');
    this.#candidate = line;
    return line;
  }

  #admit(line: Line): void {
    if (line !== this.#candidate) return;
    const before = this.#admitted;
    this.#candidate = undefined;
    this.#admitted = line;
    const lastWord = before && this.#options.handlers.onDisplaced?.(before);
    const queue = [...(before?.retire(lastWord) ?? []), ...this.#waiting];
    this.#forget();
    for (const payload of queue) this.send(payload);
    this.#setUp(false);
    this.#setUp(line.up);
  }

  #changed(line: Line): void {
    if (line === this.#admitted) this.#setUp(line.up);
    if (line.up) this.#options.handlers.onLine(line);
  }

  #wait(payload: Uint8Array): void {
    const { maxPayloadBytes, maxOutboxBytes } = this.#options.limits;
    if (payload.length > maxPayloadBytes) {
      throw new KmsError('TOO_LARGE', `a message has at most ${maxPayloadBytes} bytes`);
    }
    if (payload.length === 0) throw new KmsError('BAD_INPUT', 'a message has at least one byte');
    if (this.#waitingBytes + payload.length > maxOutboxBytes) {
      throw new KmsError('BUSY', 'the peer does not take its messages');
    }
    this.#waiting.push(payload);
    this.#waitingBytes += payload.length;
  }

  #forget(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#log('info', up ? 'peer-up' : 'peer-down');
    this.#options.handlers.onPeer?.(this.party, up);
  }
}

export interface PeerOptions {
  readonly party: PartyId;
  readonly limits: ChannelLimits;
  readonly handlers: PeerHandlers;
  readonly rng: Rng;
  readonly log: Log;
  readonly timing?: ExchangeTiming;
}
