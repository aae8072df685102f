import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { kernelSplice } from './kernel-splice.ts';
import type { SpliceAddon } from './native/splice-addon.ts';
import { PUMP_BYTES } from './pump.ts';
import { pumpSplice } from './pump-splice.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** What one splice can hold of its own: in buffers of this process, or half of it in the kernel's. */
export const SPLICE_BUFFER_BYTES: number = 2 * PUMP_BYTES;

/** Two streams piped into each other. */
export interface Splice {
  /** Bytes that were read from the two sides so far. */
  readonly bytes: { readonly fromA: number; readonly fromB: number };
  /** Nothing is waiting to be written. */
  readonly flushed: boolean;
  end(): void;
}

export interface SpliceOptions {
  /** For the streams that the kernel does not carry. */
  readonly buffers: ReadBuffers;
  /** Ends both if in so long nothing was read, and no reader took what was waiting for it. */
  readonly idleMs: number;
  /** With it the kernel carries the bytes of connections that are descriptors. */
  readonly addon?: SpliceAddon | undefined;
}

/**
 * Pipes two streams into each other until either ends; what was read by then is still written, then both are destroyed.
 * A slow reader stops the reading on the other side.
 * @param ended called once
 */
export function splice(
  a: Duplex,
  b: Duplex,
  { buffers, idleMs, addon }: SpliceOptions,
  ended: (idle: boolean) => void,
): Splice {
  for (const stream of [a, b]) if (stream instanceof Socket) stream.setNoDelay(true);
  const byKernel = addon && kernelSplice(addon, a, b, idleMs, ended);
  return byKernel ?? pumpSplice(a, b, buffers, idleMs, ended);
}
