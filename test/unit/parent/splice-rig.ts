import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach } from 'vitest';
import type { SpliceAddon } from '../../../parent/native/splice-addon.ts';
import { ReadBuffers } from '../../../parent/read-buffers.ts';
import { type Splice, splice } from '../../../parent/splice.ts';
import { builtSplice, canBuild } from '../native/built.ts';

/** Two connections with a splice between them, for the tests of both ways to carry bytes. */

export const LARGE_BYTES: number = 512 * 1024;
export const IDLE_MS = 60_000;
export const directory: string = mkdtempSync(join(tmpdir(), 'kms-splice-'));
export const closers: (() => void)[] = [];
let count = 0;

afterEach(() => {
  for (const close of closers.splice(0)) close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

export function kept<S extends Duplex>(stream: S): S {
  stream.on('error', () => {});
  closers.push(() => stream.destroy());
  return stream;
}

/** [the end that connected, the end that was accepted], over TCP or a unix socket. */
export async function connection(kind: 'tcp' | 'unix'): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: false, pauseOnConnect: true });
  closers.push(() => server.close());
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  if (kind === 'tcp') server.listen(0, '127.0.0.1');
  else server.listen(join(directory, `${++count}.sock`));
  await once(server, 'listening');
  const address = server.address() as AddressInfo | string;
  const to = typeof address === 'string' ? { path: address } : { host: '127.0.0.1', port: address.port };
  const one = createConnection({ ...to, allowHalfOpen: false });
  await once(one, 'connect');
  return [kept(one), kept(await accepted)];
}

/** Streams that are no sockets of node's, such as those of the native layer. */
export class Wrapped extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(Buffer.from(chunk))) socket.pause();
    });
    socket.once('end', () => this.push(null));
    socket.once('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

export interface Rig {
  readonly outside: Socket;
  readonly inside: Socket;
  readonly spliced: Splice;
  /** Of splice()'s `ended`. */
  readonly ends: boolean[];
}

export interface RigOptions {
  readonly buffers?: ReadBuffers;
  readonly idleMs?: number;
  readonly wrapped?: boolean;
  readonly addon?: SpliceAddon;
}

/** Who carries: this process, or the kernel, which may not splice every socket. */
export const ways: (readonly [string, RigOptions])[] = [
  ['sockets', {}],
  ['other streams', { wrapped: true }],
];
if (canBuild) {
  ways.push(
    ['kernel', { addon: builtSplice(join(directory, 'splice.node')) }],
    [
      'kernel that splices nothing from sockets',
      { addon: builtSplice(join(directory, 'in.node'), 'reading') },
    ],
    [
      'kernel that splices nothing to sockets',
      { addon: builtSplice(join(directory, 'out.node'), 'writing') },
    ],
    ['kernel that gives no pipes', { addon: builtSplice(join(directory, 'pipes.node'), 'pipes') }],
  );
}

/** outside - (accepted, connected) - inside, as a relay has them. */
export async function rig({
  buffers = new ReadBuffers(16 << 20),
  idleMs = IDLE_MS,
  wrapped,
  addon,
}: RigOptions): Promise<Rig> {
  const [outside, accepted] = await connection('tcp');
  const [connected, inside] = await connection('unix');
  const ends: boolean[] = [];
  const [a, b] =
    wrapped === true ? [kept(new Wrapped(accepted)), kept(new Wrapped(connected))] : [accepted, connected];
  const spliced = splice(a, b, { buffers, idleMs, addon }, (idle) => ends.push(idle));
  closers.push(() => spliced.end());
  return { outside, inside, spliced, ends };
}

/** Reads so many bytes, now and then not. @returns their digest */
export async function readAll(stream: Socket, sizeBytes: number, hesitant: boolean): Promise<string> {
  const hash = createHash('sha256');
  let left = sizeBytes;
  const { promise, resolve } = Promise.withResolvers<string>();
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    left -= chunk.length;
    if (left <= 0) resolve(left === 0 ? hash.digest('hex') : 'too much');
    else if (hesitant && randomInt(20) === 0) {
      stream.pause();
      setTimeout(() => stream.resume(), randomInt(8));
    }
  });
  stream.resume();
  return await promise;
}

/** Writes in pieces of any size. */
export async function writeAll(stream: Socket, bytes: Buffer, mostBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + randomInt(mostBytes);
    if (!stream.write(bytes.subarray(at, at + size))) await once(stream, 'drain');
    at += size;
    if (randomInt(8) === 0) await turn();
  }
}

export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
