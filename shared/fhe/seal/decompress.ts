import { KmsError } from '../../errors.ts';
import { bytesOf, concat } from '../../wire/bytes.ts';
import { Cursor } from './cursor.ts';
import { HEADER_BYTES, readHeader } from './header.ts';

/**
 * A SEAL object as if it had been saved without compression. Only for the edge where users hand in files:
 * envelopes and everything hashed hold uncompressed objects. zlib goes through the web-standard
 * DecompressionStream and stops at the limit, so a small file cannot fill the memory.
 * @param maxBytes of the uncompressed object
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING (zstd too: no web-standard decoder exists)
 */
export async function decompressed(object: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const header = readHeader(new Cursor(object));
  if (header.sizeBytes !== object.length)
    throw new KmsError('BAD_ENCODING', 'SEAL object is truncated or too long');
  if (header.compression === 'zstd') {
    throw new KmsError(
      'BAD_ENCODING',
      'SEAL object is zstd-compressed: save it with ComprModeType.none or zlib',
    );
  }
  if (object.length > maxBytes) throw new KmsError('TOO_LARGE', `SEAL object exceeds ${maxBytes} bytes`);
  if (header.compression === 'none') return object;
  const body = await inflate(object.slice(HEADER_BYTES), maxBytes - HEADER_BYTES);
  const prefix = object.slice(0, HEADER_BYTES);
  prefix[5] = 0;
  prefix.set(bytesOf(BigUint64Array.of(BigInt(HEADER_BYTES + body.length))), 8);
  return concat(prefix, body);
}

async function inflate(deflated: Uint8Array<ArrayBuffer>, maxBytes: number): Promise<Uint8Array> {
  const reader = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    let chunk: ReadableStreamReadResult<Uint8Array>;
    try {
      chunk = await reader.read();
    } catch (cause) {
      throw new KmsError('BAD_ENCODING', 'SEAL object is not valid zlib', { cause });
    }
    if (chunk.done) return concat(...parts);
    total += chunk.value.length;
    if (total > maxBytes) {
      await reader.cancel();
      throw new KmsError('TOO_LARGE', `SEAL object exceeds ${maxBytes} bytes when decompressed`);
    }
    parts.push(chunk.value);
  }
}
