import { constants, type Http2ServerRequest } from 'node:http2';
import { KmsError } from '../../shared/errors.ts';
import { toFault } from './fault.ts';
import { requireFewFields } from './field-count.ts';

export interface BodyLimits {
  /** Of one call's message. @param path of the call */
  readonly maxBytes: (path: string) => number;
  /** Of all calls together, each until it is over. */
  readonly totalBytes: number;
  /** Fields of a message: each becomes an object, however small it is. */
  readonly maxFields: number;
  /** For the whole of a body: who never ends it keeps a call's place no longer. */
  readonly withinMs: number;
}

/** gRPC's frame: a flag and the length. */
const PREFIX_BYTES = 5;
const FIRST_BYTES = 4096;

/**
 * Bodies of calls with one message each, read whole before anything is decoded, so that what callers can make this process hold is
 * bounded by what they send.
 */
export class RequestBodies {
  readonly #limits: BodyLimits;
  #heldBytes = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** From now on whoever reads the request gets its body in one piece, or a ConnectError with TOO_LARGE, BUSY or BAD_ENCODING. */
  readWhole(request: Http2ServerRequest): void {
    const chunks = { [Symbol.asyncIterator]: request[Symbol.asyncIterator].bind(request) };
    Object.assign(request, { [Symbol.asyncIterator]: () => this.#read(request, chunks) });
  }

  async *#read(request: Http2ServerRequest, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { withinMs, maxFields, maxBytes, totalBytes } = this.#limits;
    const { url, stream } = request;
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), withinMs);
    let ownBytes = 0;
    const hold = (sizeBytes: number): void => {
      ownBytes += sizeBytes;
      this.#heldBytes += sizeBytes;
      if (this.#heldBytes > totalBytes) throw new KmsError('BUSY', 'other calls hold too much');
    };
    let body: Uint8Array;
    try {
      body = await whole(chunks, PREFIX_BYTES + maxBytes(url), hold);
      requireFewFields(body.subarray(PREFIX_BYTES), maxFields);
    } catch (error) {
      stream.once('wantTrailers', () => setImmediate(() => endTold(stream)));
      throw toFault(error);
    } finally {
      clearTimeout(late);
      void closed.then(() => {
        this.#heldBytes -= ownBytes;
      });
    }
    yield body;
  }
}

/** The caller's trailers are being sent. What it has sent nobody reads, and a stream with unread bytes never ends by itself. */
function endTold(stream: Http2ServerRequest['stream']): void {
  // Sends what is pending before the stream's end.
  stream.close(constants.NGHTTP2_NO_ERROR);
  setImmediate(() => stream.destroy());
}

/** Copied as it comes: small chunks cost far more than their bytes. */
async function whole(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  hold: (sizeBytes: number) => void,
): Promise<Uint8Array> {
  let body = new Uint8Array(FIRST_BYTES);
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    const at = sizeBytes;
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new KmsError('TOO_LARGE', 'the message of a call is too large');
    hold(chunk.length);
    if (sizeBytes > body.length) body = grown(body, Math.min(maxBytes, 2 * sizeBytes));
    body.set(chunk, at);
  }
  const all = body.subarray(0, sizeBytes);
  if (sizeBytes < PREFIX_BYTES || sizeBytes - PREFIX_BYTES !== lengthIn(all)) {
    throw new KmsError('BAD_ENCODING', 'a call has one message, and all of it');
  }
  return all;
}

function grown(bytes: Uint8Array, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(sizeBytes);
  larger.set(bytes);
  return larger;
}

function lengthIn(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(1);
}
