import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../shared/address.ts';
import { readEgressLine } from '../shared/egress.ts';
import { codeOf, KmsError } from '../shared/errors.ts';
import type { Link, Listener } from '../shared/link.ts';
import type { Log, LogReason } from '../shared/log.ts';
import { splice } from './splice.ts';

export interface RelayLimits {
  readonly maxInbound: number;
  readonly maxOutbound: number;
  /** No byte in either direction. */
  readonly idleMs: number;
  /** For the enclave to name an address, and for that address to accept. */
  readonly connectMs: number;
}

export const RELAY_LIMITS: RelayLimits = {
  maxInbound: 256,
  maxOutbound: 128,
  idleMs: 300_000,
  connectMs: 5_000,
};

export interface RelayOptions {
  readonly link: Link<Socket>;
  readonly listen: Address;
  /** The addresses that the enclave may reach now. */
  readonly allowed: () => Promise<ReadonlySet<string>>;
  readonly log: Log;
  readonly limits?: RelayLimits;
}

/**
 * The parent's whole work: bytes from the public port to the enclave, bytes from the enclave to allowed addresses. It
 * sees TLS records, holds no key and decides nothing but whether to carry them.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #limits: RelayLimits;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #egress: Listener | undefined;
  #inbound = 0;
  #outbound = 0;

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#limits = options.limits ?? RELAY_LIMITS;
    this.#server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
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

  /** Ends every connection it carries. */
  async close(): Promise<void> {
    await this.#egress?.close();
    this.#server.close();
    this.breakConnections();
  }

  /** Drops what it carries now and goes on listening. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #accept(socket: Socket): Promise<void> {
    this.#track(socket);
    if (this.#inbound >= this.#limits.maxInbound) {
      this.#refuse(socket, 'inbound', 'connection-limit');
      return;
    }
    this.#inbound += 1;
    socket.once('close', () => {
      this.#inbound -= 1;
    });
    try {
      const enclave = await this.#options.link.connect('ingress');
      this.#carry(socket, enclave, 'inbound');
    } catch {
      this.#refuse(socket, 'inbound', 'unreachable');
    }
  }

  async #carryOut(stream: Socket): Promise<void> {
    this.#track(stream);
    if (this.#outbound >= this.#limits.maxOutbound) {
      this.#refuse(stream, 'outbound', 'connection-limit');
      return;
    }
    this.#outbound += 1;
    stream.once('close', () => {
      this.#outbound -= 1;
    });
    try {
      const { text, address } = await readLine(stream, this.#limits.connectMs);
      const allowed = await this.#options.allowed();
      if (!allowed.has(text)) {
        this.#refuse(stream, 'outbound', 'address-not-allowed');
        return;
      }
      this.#carry(stream, await connectTo(address, this.#limits.connectMs), 'outbound');
    } catch (error) {
      const code = codeOf(error);
      const reachable = code !== 'UNAVAILABLE' && code !== 'TIMEOUT';
      this.#refuse(stream, 'outbound', reachable ? 'bad-frame' : 'unreachable');
    }
  }

  #carry(a: Socket, b: Socket, service: string): void {
    this.#track(b);
    if (a.destroyed || b.destroyed) {
      a.destroy();
      b.destroy();
      return;
    }
    splice(a, b, this.#limits.idleMs, (idle) => {
      if (idle) this.#options.log('info', 'connection-ended', { service, reason: 'idle' });
    });
  }

  #refuse(socket: Socket, service: string, reason: LogReason): void {
    this.#options.log('warn', 'connection-refused', { service, reason });
    socket.destroy();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

/** Reads the address line; what came behind it goes back into the stream. */
function readLine(
  stream: Socket,
  timeoutMs: number,
): Promise<{ readonly text: string; readonly address: Address }> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      stream.off('readable', read).off('close', closed);
      settle();
    };
    const fail = (error: unknown): void => done(() => reject(error));
    const closed = (): void => fail(new KmsError('BAD_INPUT', 'closed before it named an address'));
    const timer = setTimeout(() => fail(new KmsError('BAD_INPUT', 'no address in time')), timeoutMs);
    const read = (): void => {
      const chunk: unknown = stream.read();
      if (!Buffer.isBuffer(chunk)) return;
      received = Buffer.concat([received, chunk]);
      try {
        const line = readEgressLine(received);
        if (line === undefined) return;
        done(() => {
          if (line.rest.length > 0) stream.unshift(Buffer.from(line.rest));
          resolve(line);
        });
      } catch (error) {
        fail(error);
      }
    };
    stream.on('readable', read).once('close', closed);
  });
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
