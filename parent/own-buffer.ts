import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** As net.Socket's option `onread`, which only sockets that connect may have. */
export interface OwnBuffer {
  /** Asked before each read. */
  readonly buffer: () => Uint8Array;
  /** False stops the reading until resume(). */
  readonly callback: (sizeBytes: number, buffer: Uint8Array) => boolean;
}

/**
 * A socket that goes on where this one is, and reads into buffers of the caller's instead of a new one each time: half of
 * what a relay does otherwise is to make and collect buffers. Node gives this only to sockets that connect, so a connection
 * that was accepted changes hands by the field `_handle`, which node does not document. What was read already stays in the
 * old one. Destroying either destroys both.
 * @returns undefined where that is not possible: the stream is no open socket, or node has changed
 */
export function readingInto(stream: Duplex, { buffer, callback }: OwnBuffer): Socket | undefined {
  if (!(stream instanceof Socket) || stream.destroyed || stream.readableEnded || stream.writableLength > 0)
    return undefined;
  const handle: unknown = Reflect.get(stream, '_handle');
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return undefined;
  // Its types do not name the option `handle` for this.
  const heir: unknown = Reflect.construct(Socket, [
    { handle, onread: { buffer, callback }, allowHalfOpen: false },
  ]);
  if (!(heir instanceof Socket)) return undefined;
  Reflect.set(stream, '_handle', null);
  heir.once('close', () => stream.destroy());
  stream.once('close', () => heir.destroy());
  return heir;
}
