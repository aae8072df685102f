import type { Socket } from 'node:net';
import { KmsError } from '../../shared/errors.ts';
import type { Link, LinkService, Listener } from '../../shared/link.ts';
import { answerHeartbeats, HEARTBEAT_PORT } from './heartbeat.ts';
import { assertPathFits, connectTo, listenAt } from './socket-file.ts';
import type { LinkPorts } from './vsock.ts';

const NEWLINE = 10;
/** "OK ", a port number and a newline; nothing longer is an answer. */
const MAX_ANSWER_BYTES = 32;
const ANSWER_TIMEOUT_MS = 2_000;

/**
 * The link to an enclave that is emulated on a developer's machine, where vhost-device-vsock carries its AF_VSOCK to unix
 * sockets: this side connects to `<path>` and asks for a port, the enclave's connections to port P arrive at `<path>_P`. No
 * real enclave can be reached so; and only here does a parent answer the heartbeat of an enclave's init, which nitro-cli
 * does on a real host.
 */
export class VhostLink implements Link<Socket> {
  readonly #path: string;
  readonly #ports: LinkPorts;

  /** @throws {KmsError} BAD_INPUT if the path is too long for a unix socket */
  constructor(path: string, ports: LinkPorts) {
    assertPathFits(`${path}_${Math.max(HEARTBEAT_PORT, ...Object.values(ports))}`);
    this.#path = path;
    this.#ports = ports;
  }

  /** Whoever takes the enclave's connections also answers its heartbeats. */
  async listen(service: LinkService, onStream: (stream: Socket) => void): Promise<Listener> {
    const listener = await listenAt(`${this.#path}_${this.#ports[service]}`, onStream);
    if (service !== 'egress') return listener;
    try {
      const heartbeats = await answerHeartbeats(`${this.#path}_${HEARTBEAT_PORT}`);
      return {
        close: async () => {
          await heartbeats.close();
          await listener.close();
        },
      };
    } catch (error) {
      await listener.close();
      throw error;
    }
  }

  async connect(service: LinkService): Promise<Socket> {
    const socket = await connectTo(this.#path);
    try {
      socket.write(`CONNECT ${this.#ports[service]}\n`);
      await accepted(socket);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }
}

/** Reads the answer's line; what came behind it goes back into the stream, which is paused. */
function accepted(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const done = (error?: KmsError): void => {
      clearTimeout(timer);
      socket.off('readable', read).off('close', closed);
      if (error === undefined) resolve();
      else reject(error);
    };
    const closed = (): void => done(new KmsError('UNAVAILABLE', 'nobody listens on that port inside'));
    const timer = setTimeout(
      () => done(new KmsError('TIMEOUT', 'the vsock backend does not answer')),
      ANSWER_TIMEOUT_MS,
    );
    const read = (): void => {
      const chunk: unknown = socket.read();
      if (!Buffer.isBuffer(chunk)) return;
      received = Buffer.concat([received, chunk]);
      const end = received.subarray(0, MAX_ANSWER_BYTES).indexOf(NEWLINE);
      if (end < 0 && received.length < MAX_ANSWER_BYTES) return;
      if (end < 0 || !/^OK( \d+)?$/.test(received.subarray(0, end).toString('latin1'))) {
        done(new KmsError('UNAVAILABLE', 'the vsock backend refuses'));
        return;
      }
      done();
      const rest = received.subarray(end + 1);
      if (rest.length > 0) socket.unshift(rest);
    };
    socket.on('readable', read).once('close', closed);
  });
}
