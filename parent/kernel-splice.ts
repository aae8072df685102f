import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { whenIdle } from './idle.ts';
import type { SpliceAddon, SpliceHandle } from './native/splice-addon.ts';
import { NativeStream } from './native/stream.ts';
import type { Splice } from './splice.ts';

/** A connection that is read no more by its stream, whose descriptor it remains. */
interface Resting {
  readonly descriptor: number;
  readonly rest: () => void;
}

/**
 * splice() by the kernel: bytes go from one connection to the other without coming to this process. The streams stay as owners of
 * their descriptors, at rest; what they had read goes first.
 * @returns undefined if that is not possible: a stream is no open connection, or still writes
 */
export function kernelSplice(
  addon: SpliceAddon,
  a: Duplex,
  b: Duplex,
  idleMs: number,
  ended: (idle: boolean) => void,
): Splice | undefined {
  const [sideA, sideB] = [restingOf(a), restingOf(b)];
  if (sideA === undefined || sideB === undefined) return undefined;
  let handle: SpliceHandle | undefined;
  let over = false;
  /** While there is no handle, and after it. */
  let state = { fromA: 0, fromB: 0, held: 0 };
  let movedAtMs = performance.now();
  const read = (values: readonly number[]): typeof state & { readonly restedMs: number } => {
    const [fromA = 0, fromB = 0, held = 0, restedMs = 0] = values;
    return { fromA: early.fromA + fromA, fromB: early.fromB + fromB, held, restedMs };
  };
  const now = (): typeof state => (handle === undefined ? state : read(addon.state(handle)));

  const finish = (idle: boolean): void => {
    if (over) return;
    over = true;
    endWatch();
    if (handle !== undefined) state = { ...read(addon.close(handle)), held: 0 };
    handle = undefined;
    a.destroy();
    b.destroy();
    ended(idle);
  };
  const restedMs = (): number =>
    handle === undefined ? performance.now() - movedAtMs : read(addon.state(handle)).restedMs;
  const endWatch = whenIdle(idleMs, restedMs, () => finish(true));

  for (const stream of [a, b]) stream.on('error', () => finish(false)).once('close', () => finish(false));
  const early = { fromA: 0, fromB: 0 };
  const begin = (): void => {
    if (over || state.held > 0 || a.destroyed || b.destroyed) return;
    const made = addon.carry(sideA.descriptor, sideB.descriptor, () => finish(false));
    // Not before whoever asked for this has it.
    if (typeof made === 'number') setImmediate(() => finish(false));
    else handle = made;
  };
  const forward = (from: Duplex, { rest }: Resting, to: Duplex): number => {
    // Where the end has been read already, the stream stays nevertheless: the kernel finds the end again.
    from.allowHalfOpen = true;
    from.pause();
    const chunks: Buffer[] = [];
    for (let chunk = from.read(); Buffer.isBuffer(chunk); chunk = from.read()) chunks.push(chunk);
    // To read on is the kernel's from now on, whatever the stream was about to do.
    from._read = () => {};
    rest();
    const bytes = Buffer.concat(chunks);
    if (bytes.length === 0) return 0;
    state.held += bytes.length;
    to.write(bytes, (error) => {
      if (error) return;
      state.held -= bytes.length;
      movedAtMs = performance.now();
      begin();
    });
    return bytes.length;
  };
  early.fromA = forward(a, sideA, b);
  early.fromB = forward(b, sideB, a);
  state = { ...early, held: state.held };
  begin();
  return {
    get bytes() {
      const { fromA, fromB } = now();
      return { fromA, fromB };
    },
    get flushed() {
      return now().held === 0;
    },
    end: () => finish(false),
  };
}

/** Of node's own sockets by the field `_handle`, which node does not document. */
function restingOf(stream: Duplex): Resting | undefined {
  if (stream.destroyed || stream.writableLength > 0) return undefined;
  if (stream instanceof NativeStream) {
    return { descriptor: stream.descriptor, rest: () => stream.rest() };
  }
  if (!(stream instanceof Socket)) return undefined;
  const handle: unknown = Reflect.get(stream, '_handle');
  if (typeof handle !== 'object' || handle === null) return undefined;
  const descriptor: unknown = Reflect.get(handle, 'fd');
  const readStop: unknown = Reflect.get(handle, 'readStop');
  if (typeof descriptor !== 'number' || descriptor < 0 || typeof readStop !== 'function') return undefined;
  return { descriptor, rest: () => Reflect.apply(readStop, handle, []) };
}
