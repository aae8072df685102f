import { type CborMap, type CborValue, readCbor } from '../../shared/attestation/cbor.ts';
import { writeCbor } from '../../shared/attestation/cbor-writer.ts';
import { LIMITS, PCR_COUNT } from '../../shared/attestation/document.ts';
import { KmsError } from '../../shared/errors.ts';
import type { AttestationRequest } from './nsm.ts';

/** What /dev/nsm is asked, in the names of its own protocol. */
export type NsmRequest =
  | ({ readonly kind: 'Attestation' } & AttestationRequest)
  | { readonly kind: 'DescribePCR'; readonly index: number }
  | { readonly kind: 'ExtendPCR'; readonly index: number; readonly data: Uint8Array }
  | { readonly kind: 'LockPCR'; readonly index: number }
  | { readonly kind: 'DescribeNSM' }
  | { readonly kind: 'GetRandom' };

/** What the device reads at most. */
export const MAX_REQUEST_BYTES = 0x1000;
export const MAX_EXTEND_BYTES = 512;

/**
 * CBOR in the form of AWS's driver: a request without arguments is its name, any other a map from its name to its arguments.
 * @throws {KmsError} BAD_INPUT for an argument beyond the device's limits
 */
export function encodeRequest(request: NsmRequest): Uint8Array {
  switch (request.kind) {
    case 'Attestation':
      return named(request.kind, [
        ['user_data', optional(request.userData, 'user data', LIMITS.userData)],
        ['nonce', optional(request.nonce, 'nonce', LIMITS.nonce)],
        ['public_key', optional(request.publicKey, 'public key', LIMITS.publicKey)],
      ]);
    case 'DescribePCR':
    case 'LockPCR':
      return named(request.kind, [['index', register(request.index)]]);
    case 'ExtendPCR': {
      const { index, data } = request;
      if (data.length === 0) throw new KmsError('BAD_INPUT', 'a register is extended by at least one byte');
      return named(request.kind, [
        ['index', register(index)],
        ['data', optional(data, 'data', MAX_EXTEND_BYTES)],
      ]);
    }
    default:
      return writeCbor(request.kind);
  }
}

/** The device's side: for its imitations. @throws {KmsError} BAD_ENCODING, BAD_INPUT */
export function decodeRequest(bytes: Uint8Array): NsmRequest {
  const value = readCbor(bytes);
  if (value === 'DescribeNSM' || value === 'GetRandom') return { kind: value };
  const [entry, ...more] = isMap(value) ? [...value] : [];
  if (entry === undefined || more.length > 0 || !isMap(entry[1])) throw bad();
  const [kind, fields] = entry;
  switch (kind) {
    case 'Attestation':
      return {
        kind,
        ...given('userData', fields.get('user_data'), LIMITS.userData),
        ...given('nonce', fields.get('nonce'), LIMITS.nonce),
        ...given('publicKey', fields.get('public_key'), LIMITS.publicKey),
      };
    case 'DescribePCR':
    case 'LockPCR':
      return { kind, index: register(fields.get('index')) };
    case 'ExtendPCR': {
      const data = fields.get('data');
      if (!(data instanceof Uint8Array)) throw bad();
      return { kind, index: register(fields.get('index')), data };
    }
    default:
      throw bad();
  }
}

function named(kind: string, fields: readonly (readonly [string, CborValue])[]): Uint8Array {
  return writeCbor(new Map([[kind, new Map(fields)]]));
}

function optional(value: Uint8Array | undefined, what: string, maxBytes: number): Uint8Array | null {
  if (value !== undefined && value.length > maxBytes) {
    throw new KmsError('BAD_INPUT', `the security module takes ${what} of at most ${maxBytes} bytes`);
  }
  return value ?? null;
}

function register(index: CborValue | undefined): number {
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= PCR_COUNT) {
    throw new KmsError('BAD_INPUT', `registers are 0..${PCR_COUNT - 1}`);
  }
  return index;
}

function given<Name extends string>(
  name: Name,
  value: CborValue | undefined,
  maxBytes: number,
): { readonly [N in Name]?: Uint8Array } {
  if (value === null || value === undefined) return {};
  if (!(value instanceof Uint8Array) || value.length > maxBytes) throw bad();
  const fields: { [N in Name]?: Uint8Array } = {};
  fields[name] = value;
  return fields;
}

function isMap(value: CborValue): value is CborMap {
  return value instanceof Map;
}

function bad(): KmsError {
  return new KmsError('BAD_ENCODING', 'not a request to the security module');
}
