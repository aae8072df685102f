import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { type ParentConfig, readParentConfig } from '../../parent/config.ts';
import { readDestination } from '../../parent/destination.ts';
import { UnixLink } from '../../parent/link/unix.ts';
import { EnclaveServices } from '../../parent/services.ts';
import { type Address, parseAddress } from '../../shared/address.ts';
import type { Listener } from '../../shared/link.ts';
import {
  type Conduct,
  corrupting,
  crossing,
  delaying,
  dropping,
  honest,
  inserting,
  reordering,
  repeating,
  swallowing,
  truncating,
  type Wire,
} from './conduct.ts';

/** Everything one connection carried, as this parent saw it. */
export interface Recording {
  readonly direction: 'inbound' | 'outbound';
  readonly fromEnclave: Buffer[];
  readonly fromOutside: Buffer[];
}

export interface HostileParentOptions {
  readonly socketDirectory: string;
  readonly listen: Address;
  readonly conduct?: Conduct;
  /** Of the real parent: it still tells the enclave which network it is in, lends credentials, and finds KMS and S3. */
  readonly config?: ParentConfig;
}

const LINE_TIMEOUT_MS = 5_000;

/** A parent that sees all and obeys nobody: it has the sockets of a real one and treats what it carries as it likes. */
export class HostileParent {
  conduct: Conduct;
  readonly recordings: Recording[] = [];
  readonly #link: UnixLink;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #services: EnclaveServices | undefined;
  readonly #hosts: ReadonlyMap<string, Address>;
  #egress: Listener | undefined;
  #connections = 0;

  private constructor({ socketDirectory, conduct = honest, config }: HostileParentOptions) {
    this.#services = config === undefined ? undefined : new EnclaveServices(config);
    this.#hosts = config?.hosts ?? new Map();
    this.conduct = conduct;
    this.#link = new UnixLink(socketDirectory);
    this.#server = createServer({ allowHalfOpen: false, noDelay: true, pauseOnConnect: true }, (socket) => {
      void this.#inbound(socket);
    });
  }

  static async open(options: HostileParentOptions): Promise<HostileParent> {
    const parent = new HostileParent(options);
    parent.#egress = await parent.#link.listen('egress', (stream) => void parent.#outbound(stream));
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      parent.#server.once('error', reject).listen(port, host, resolve);
    });
    return parent;
  }

  /** A stream to the enclave that nobody outside asked for; the parent may say of it what it likes. */
  async intrude(as: 'ingress' | 'members' = 'ingress'): Promise<Socket> {
    const stream = await this.#link.connect(as);
    this.#keep(stream);
    return stream;
  }

  /** Ends what it carries now; what comes next is treated by the conduct of then. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    await this.#egress?.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.cutAll();
    });
  }

  async #inbound(socket: Socket): Promise<void> {
    this.#keep(socket);
    try {
      const enclave = await this.#link.connect('ingress');
      this.#carry(enclave, socket, 'inbound');
    } catch {
      socket.destroy();
    }
  }

  async #outbound(stream: Socket): Promise<void> {
    this.#keep(stream);
    try {
      const destination = await readDestination(stream, LINE_TIMEOUT_MS);
      if (destination.kind === 'service' && this.#services !== undefined) {
        await this.#services.answer(destination.service, stream);
        return;
      }
      const asked = destination.kind === 'address' ? destination.text : undefined;
      const to = asked === undefined ? undefined : (this.conduct.route ?? ((same) => same))(asked);
      if (to === undefined) stream.destroy();
      else this.#carry(stream, await connected(this.#hosts.get(to) ?? parseAddress(to)), 'outbound');
    } catch {
      stream.destroy();
    }
  }

  #carry(enclave: Socket, outside: Socket, direction: Recording['direction']): void {
    this.#keep(enclave);
    this.#keep(outside);
    const recording: Recording = { direction, fromEnclave: [], fromOutside: [] };
    this.recordings.push(recording);
    const connection = this.#connections++;
    const cut = (): void => {
      enclave.destroy();
      outside.destroy();
    };
    const pipe = (from: Socket, to: Socket, whose: Wire['from'], into: Buffer[]): void => {
      const send = (bytes: Buffer): void => {
        if (!to.destroyed) to.write(bytes);
      };
      const wire: Wire = { connection, from: whose, send, cut };
      let conduct: Conduct | undefined;
      let handle = send;
      from.on('data', (chunk: Buffer) => {
        into.push(chunk);
        if (conduct !== this.conduct) {
          conduct = this.conduct;
          handle = conduct.carry?.(wire) ?? send;
        }
        handle(chunk);
      });
      from.once('close', cut);
      from.resume();
    };
    pipe(enclave, outside, 'enclave', recording.fromEnclave);
    pipe(outside, enclave, 'outside', recording.fromOutside);
  }

  #keep(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}

function connected(address: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ ...address, noDelay: true, allowHalfOpen: false });
    socket.once('error', reject).once('connect', () => resolve(socket));
  });
}

/** Long enough to do harm, short enough for all of them to be met in a demonstration. */
const CONDUCT_MS = 700;

/** `--config <file of a parent>`: one misconduct after the other, until it is killed. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const config = await readParentConfig(values.config ?? '');
  const { link, listen } = config;
  if (link.kind !== 'unix') throw new Error('a hostile parent is one of a mock enclave');
  const { socketDirectory } = link;
  const parent = await HostileParent.open({ socketDirectory, listen, conduct: corrupting(5), config });
  const conducts = [
    ...[corrupting(5), dropping(4), reordering, repeating, truncating(20_000)],
    ...[crossing(), inserting, delaying(300), swallowing],
  ];
  let turn = 0;
  setInterval(() => {
    turn += 1;
    parent.conduct = conducts[turn % conducts.length] ?? honest;
    parent.recordings.length = 0;
  }, CONDUCT_MS);
  process.once('SIGTERM', () => process.exit(0));
}

if (import.meta.main) await main();
