import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '../shared/address.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import type { Link, Listener } from '../shared/link.ts';
import type { Log, LogReason } from '../shared/log.ts';
import type { ParentService } from '../shared/parent-service.ts';
import { Admission } from './admission.ts';
import { readDestination } from './destination.ts';
import type { SpliceAddon } from './native/splice-addon.ts';
import { ReadBuffers } from './read-buffers.ts';
import { SPLICE_BUFFER_BYTES, type Splice, splice } from './splice.ts';

export interface RelayLimits {
  readonly maxInbound: number;
  /** On top, from hosts of members. */
  readonly maxMembers: number;
  readonly maxOutbound: number;
  /** Inbound connections from one remote address. */
  readonly maxPerAddress: number;
  /** New inbound connections of one remote address; four times that of all together, members' hosts and others apart. */
  readonly acceptsPerSecond: number;
  readonly acceptBurst: number;
  /**
   * In both directions of all connections together: LARGE_BUFFERS_BYTES for those that carry much at the moment, and what
   * every connection can hold at most.
   */
  readonly maxBufferedBytes: number;
  /** No byte in either direction. */
  readonly idleMs: number;
  /** For the enclave to name an address, and for that address to accept. */
  readonly connectMs: number;
}

export const RELAY_LIMITS: RelayLimits = {
  maxInbound: 256,
  maxMembers: 64,
  maxOutbound: 128,
  maxPerAddress: 64,
  acceptsPerSecond: 50,
  acceptBurst: 200,
  maxBufferedBytes: 128 << 20,
  idleMs: 300_000,
  connectMs: 5_000,
};

export interface RelayOptions {
  readonly link: Link<Duplex>;
  readonly listen: Address;
  /** Whether a remote address is a member's host; none is by default. They have room of their own, here and in the enclave. */
  readonly isMember?: (address: string) => boolean;
  /** The addresses that the enclave may reach now. */
  readonly allowed: () => Promise<ReadonlySet<string>>;
  readonly log: Log;
  /** Takes the enclave's telemetry; without it such streams are closed. */
  readonly onTelemetry?: (stream: Duplex) => void;
  /** Answers what the enclave asks of its parent; without it such streams are closed. */
  readonly onService?: (service: ParentService, stream: Duplex) => Promise<void>;
  /** Where an allowed address is to be found; default: where its name leads. */
  readonly resolve?: (text: string) => Address | undefined;
  readonly limits?: Partial<RelayLimits>;
  /** Lets the kernel carry bytes. */
  readonly addon?: SpliceAddon | undefined;
}

/** What the relay has done and is doing. */
export interface RelayCounters {
  readonly inbound: number;
  readonly outbound: number;
  readonly accepted: number;
  readonly dialled: number;
  readonly refused: ReadonlyMap<LogReason, number>;
  /** Bytes towards the enclave, and from it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Shared by the connections that carry much at the moment. */
export const LARGE_BUFFERS_BYTES: number = 16 << 20;

/** A connection counts as quiet when nothing passed for so long. */
const QUIET_MS = 250;
/** In a second. */
const MAX_REFUSALS_LOGGED = 20;
const DRAIN_POLL_MS = 25;

/**
 * The parent's whole work: bytes from the public port to the enclave, bytes from the enclave to allowed addresses. It
 * sees TLS records, holds no key and decides nothing but whether to carry them.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #strangers: Admission;
  readonly #members: Admission;
  readonly #sockets = new Set<Duplex>();
  readonly #buffers = new ReadBuffers(LARGE_BUFFERS_BYTES);
  readonly #splices = new Set<Splice>();
  readonly #server: Server;
  readonly #refused = new Map<LogReason, number>();
  #egress: Listener | undefined;
  #outbound = 0;
  #accepted = 0;
  #dialled = 0;
  #bytes = { in: 0, out: 0 };
  #logged = { sinceMs: 0, lines: 0 };

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#limits = { ...RELAY_LIMITS, ...options.limits };
    const { maxInbound, maxMembers, maxPerAddress, acceptsPerSecond, acceptBurst } = this.#limits;
    const of = (maxConnections: number): Admission =>
      new Admission({ maxConnections, maxPerAddress, acceptsPerSecond, acceptBurst }, () =>
        performance.now(),
      );
    this.#strangers = of(maxInbound);
    this.#members = of(maxMembers);
    this.#server = createServer({ allowHalfOpen: false, noDelay: true, pauseOnConnect: true }, (socket) => {
      void this.#accept(socket);
    });
  }

  /** @throws {KmsError} UNAVAILABLE if the port is taken, BUSY if another parent serves this enclave */
  static async open(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options);
    relay.#egress = await options.link.listen('egress', (stream) => {
      void relay.#carryOut(stream);
    });
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      relay.#server.on('error', (cause) => {
        reject(new KmsError('UNAVAILABLE', `cannot listen on ${host}:${port}`, { cause }));
      });
      relay.#server.listen(port, host, resolve);
    }).catch(async (error: unknown) => {
      await relay.close();
      throw error;
    });
    return relay;
  }

  get counters(): RelayCounters {
    const now = { ...this.#bytes };
    for (const carried of this.#splices) {
      now.in += carried.bytes.fromA;
      now.out += carried.bytes.fromB;
    }
    return {
      inbound: this.#strangers.count + this.#members.count,
      outbound: this.#outbound,
      accepted: this.#accepted,
      dialled: this.#dialled,
      refused: this.#refused,
      bytesIn: now.in,
      bytesOut: now.out,
    };
  }

  /** Ends every connection it carries. */
  async close(): Promise<void> {
    await this.#release();
    this.breakConnections();
  }

  /**
   * Lets go of port and link at once, so that another parent can take them, and ends every connection when it has fallen
   * quiet, at the latest after boundMs.
   */
  async drain(boundMs: number): Promise<void> {
    await this.#release();
    const deadlineMs = performance.now() + boundMs;
    const seen = new Map<Splice, { bytes: number; sinceMs: number }>();
    while (this.#splices.size > 0 && performance.now() < deadlineMs) {
      const nowMs = performance.now();
      for (const carried of this.#splices) {
        const bytes = carried.bytes.fromA + carried.bytes.fromB;
        const last = seen.get(carried);
        if (last?.bytes !== bytes || !carried.flushed) seen.set(carried, { bytes, sinceMs: nowMs });
        else if (nowMs - last.sinceMs >= QUIET_MS) carried.end();
      }
      await sleep(DRAIN_POLL_MS);
    }
    this.breakConnections();
  }

  /** Drops what it carries now and goes on listening. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #release(): Promise<void> {
    await this.#egress?.close();
    this.#egress = undefined;
    this.#server.close();
  }

  async #accept(socket: Socket): Promise<void> {
    this.#track(socket);
    const address = socket.remoteAddress ?? '';
    const isMember = this.#options.isMember?.(address) === true;
    const admission = isMember ? this.#members : this.#strangers;
    const refusal = isMember || this.#hasRoom() ? admission.enter(address) : 'buffer-limit';
    if (refusal !== undefined) {
      this.#refuse(socket, 'inbound', refusal);
      return;
    }
    socket.once('close', () => admission.leave(address));
    this.#accepted += 1;
    try {
      const enclave = await this.#toEnclave(isMember);
      this.#carry(socket, enclave, 'inbound');
    } catch {
      this.#refuse(socket, 'inbound', 'unreachable');
    }
  }

  /** Who comes from a member's host and finds that way closed goes the way of all others. */
  async #toEnclave(isMember: boolean): Promise<Duplex> {
    const { link } = this.#options;
    if (!isMember) return link.connect('ingress');
    return link.connect('members').catch(() => link.connect('ingress'));
  }

  async #carryOut(stream: Duplex): Promise<void> {
    this.#track(stream);
    if (this.#outbound >= this.#limits.maxOutbound || !this.#hasRoom()) {
      this.#refuse(stream, 'outbound', this.#hasRoom() ? 'connection-limit' : 'buffer-limit');
      return;
    }
    this.#outbound += 1;
    stream.once('close', () => {
      this.#outbound -= 1;
    });
    try {
      const destination = await readDestination(stream, this.#limits.connectMs);
      if (destination.kind === 'telemetry') {
        if (this.#options.onTelemetry === undefined) stream.destroy();
        else this.#options.onTelemetry(stream);
        return;
      }
      if (destination.kind === 'service') {
        if (this.#options.onService === undefined) stream.destroy();
        else await this.#options.onService(destination.service, stream);
        return;
      }
      const allowed = await this.#options.allowed();
      if (!allowed.has(destination.text)) {
        this.#refuse(stream, 'outbound', 'address-not-allowed');
        return;
      }
      this.#dialled += 1;
      const address = this.#options.resolve?.(destination.text) ?? destination.address;
      this.#carry(await connectTo(address, this.#limits.connectMs), stream, 'outbound');
    } catch (error) {
      const code = codeOf(error);
      const reachable = code !== 'UNAVAILABLE' && code !== 'TIMEOUT';
      this.#refuse(stream, 'outbound', reachable ? 'bad-frame' : 'unreachable');
    }
  }

  /** Room for one more connection's buffers; that of members' hosts is kept free. */
  #hasRoom(): boolean {
    const connections = this.#limits.maxMembers + this.#strangers.count + this.#outbound + 1;
    return LARGE_BUFFERS_BYTES + connections * SPLICE_BUFFER_BYTES <= this.#limits.maxBufferedBytes;
  }

  #carry(outside: Duplex, enclave: Duplex, service: string): void {
    this.#track(outside);
    this.#track(enclave);
    if (outside.destroyed || enclave.destroyed) {
      outside.destroy();
      enclave.destroy();
      return;
    }
    const options = { buffers: this.#buffers, idleMs: this.#limits.idleMs, addon: this.#options.addon };
    const carried = splice(outside, enclave, options, (idle) => {
      this.#splices.delete(carried);
      this.#bytes.in += carried.bytes.fromA;
      this.#bytes.out += carried.bytes.fromB;
      if (idle) this.#options.log('info', 'connection-ended', { service, reason: 'idle' });
    });
    this.#splices.add(carried);
  }

  #refuse(socket: Duplex, service: string, reason: LogReason): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
    if (this.#mayLog()) this.#options.log('warn', 'connection-refused', { service, reason });
    socket.destroy();
  }

  /** A flood does not fill the disk: how many were refused is in the counters. */
  #mayLog(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#logged.sinceMs >= 1_000) this.#logged = { sinceMs: nowMs, lines: 0 };
    this.#logged.lines += 1;
    return this.#logged.lines <= MAX_REFUSALS_LOGGED;
  }

  #track(socket: Duplex): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

function connectTo(address: Address, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ ...address, allowHalfOpen: false, noDelay: true });
    const fail = (error: KmsError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new KmsError('TIMEOUT', 'the address does not accept')), timeoutMs);
    socket.on('error', (cause) => fail(new KmsError('UNAVAILABLE', 'the address refuses', { cause })));
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}
