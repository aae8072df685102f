import { KmsError } from '../../shared/errors.ts';

/** One call of JSON-RPC 2.0, as bytes. */
export function rpcCall(id: number, method: string, params: readonly unknown[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
}

/**
 * The result of the call with that id; null counts as one.
 * @param answer not trusted; its size was limited before
 * @throws {KmsError} BAD_ENCODING; UNAVAILABLE if the endpoint reports an error
 */
export function rpcResult(id: number, answer: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(answer));
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'the endpoint does not answer in JSON', { cause });
  }
  const fields = new Map<string, unknown>(
    typeof value === 'object' && value !== null ? Object.entries(value) : [],
  );
  if (fields.get('jsonrpc') !== '2.0' || fields.get('id') !== id) {
    throw new KmsError('BAD_ENCODING', 'the endpoint answers something else than it was asked');
  }
  if (fields.has('error')) throw new KmsError('UNAVAILABLE', 'the endpoint reports an error');
  const result = fields.get('result');
  if (result === undefined) throw new KmsError('BAD_ENCODING', 'the answer has no result');
  return result;
}
