import { createConnection, createServer, type Server, type Socket } from 'node:net';

/**
 * What vhost-device-vsock does with one virtual machine, without the machine: the host connects to `<path>` and says
 * `CONNECT <port>`, the guest's connections to port P go to `<path>_P`.
 */
export class VhostBackend {
  readonly #path: string;
  readonly #server: Server;
  readonly #guests = new Map<number, (stream: Socket) => void>();
  readonly #sockets = new Set<Socket>();
  /** What is said to a host whose port somebody listens on. */
  answer: readonly string[] = ['OK 1073741824\n'];

  private constructor(path: string) {
    this.#path = path;
    this.#server = createServer((socket) => this.#greet(this.#keep(socket)));
  }

  static async open(path: string): Promise<VhostBackend> {
    const backend = new VhostBackend(path);
    await new Promise<void>((resolve) => backend.#server.listen(path, resolve));
    return backend;
  }

  /** Inside the machine: listens on a port. */
  guestListens(port: number, onStream: (stream: Socket) => void): void {
    this.#guests.set(port, onStream);
  }

  /** Inside the machine: connects to a port of its parent. */
  guestConnects(port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = this.#keep(createConnection({ path: `${this.#path}_${port}` }));
      socket.once('error', reject).once('connect', () => resolve(socket));
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #greet(socket: Socket): void {
    let line = '';
    const read = (): void => {
      for (let byte: unknown = socket.read(1); Buffer.isBuffer(byte); byte = socket.read(1)) {
        line += byte.toString('latin1');
        if (!line.endsWith('\n')) continue;
        socket.off('readable', read);
        const guest = this.#guests.get(Number(/^CONNECT (\d+)\n$/.exec(line)?.[1]));
        if (guest === undefined) socket.destroy();
        else void this.#say(socket).then(() => guest(socket));
        return;
      }
    };
    socket.on('readable', read);
  }

  async #say(socket: Socket): Promise<void> {
    for (const part of this.answer) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    return socket.once('close', () => this.#sockets.delete(socket));
  }
}
