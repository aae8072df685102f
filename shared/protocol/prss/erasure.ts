/**
 * Zeroes an array of secrets; if it has a buffer of its own, the buffer is detached and its memory given back at once.
 * Left to the garbage collector, the keystreams of one request at (13,4), 50 MB, cost a full collection.
 */
export function erase({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
  new Uint8Array(buffer, byteOffset, byteLength).fill(0);
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
