import { type CborMap, type CborValue, readCbor } from '../../shared/attestation/cbor.ts';
import { writeCbor } from '../../shared/attestation/cbor-writer.ts';
import { KmsError } from '../../shared/errors.ts';
import { PCR_BYTES } from '../../shared/network/measurement.ts';
import type { NsmDescription } from './nsm.ts';

/** Why the device refuses, in its own words. */
export type NsmErrorCode =
  | 'InvalidArgument'
  | 'InvalidIndex'
  | 'InvalidResponse'
  | 'ReadOnlyIndex'
  | 'InvalidOperation'
  | 'BufferTooSmall'
  | 'InputTooLarge'
  | 'InternalError';

/** What /dev/nsm answers, in the names of its own protocol. */
export type NsmResponse =
  | { readonly kind: 'Attestation'; readonly document: Uint8Array }
  | { readonly kind: 'DescribePCR'; readonly lock: boolean; readonly data: Uint8Array }
  | { readonly kind: 'ExtendPCR'; readonly data: Uint8Array }
  | { readonly kind: 'LockPCR' }
  | { readonly kind: 'DescribeNSM'; readonly description: NsmDescription }
  | { readonly kind: 'GetRandom'; readonly random: Uint8Array }
  | { readonly kind: 'Error'; readonly code: NsmErrorCode };

/** What the device writes at most. */
export const MAX_RESPONSE_BYTES = 0x3000;

/** Faults of the question; all others are faults of the device. */
const REFUSALS = new Set<CborValue | undefined>([
  ...['InvalidArgument', 'InvalidIndex', 'ReadOnlyIndex', 'InvalidOperation', 'InputTooLarge'],
]);

/**
 * The answer to a request of this kind.
 * @throws {KmsError} BAD_INPUT if the device refuses the request, UNAVAILABLE if it fails, BAD_ENCODING for anything else
 *   than an answer of the expected kind
 */
export function decodeResponse<Kind extends NsmResponse['kind']>(
  bytes: Uint8Array,
  kind: Kind,
): Extract<NsmResponse, { kind: Kind }> {
  const response = parse(bytes);
  if (!isOf(response, kind)) throw bad(`an answer of kind ${response.kind}`);
  return response;
}

/** The device's side: for its imitations. */
export function encodeResponse(response: NsmResponse): Uint8Array {
  switch (response.kind) {
    case 'LockPCR':
      return writeCbor(response.kind);
    case 'Error':
      return writeCbor(new Map([['Error', response.code]]));
    case 'DescribeNSM': {
      const { version, moduleId, pcrCount, lockedPcrs } = response.description;
      const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
      const fields = new Map<string, CborValue>([
        ...([['version_major', major]] as const),
        ...([['version_minor', minor]] as const),
        ...([['version_patch', patch]] as const),
        ['module_id', moduleId],
        ['max_pcrs', pcrCount],
        ['locked_pcrs', lockedPcrs],
        ['digest', 'SHA384'],
      ]);
      return writeCbor(new Map([[response.kind, fields]]));
    }
    default: {
      const { kind, ...fields } = response;
      return writeCbor(new Map([[kind, new Map<string, CborValue>(Object.entries(fields))]]));
    }
  }
}

function parse(bytes: Uint8Array): NsmResponse {
  if (bytes.length > MAX_RESPONSE_BYTES) throw bad('it is too long');
  const value = readCbor(bytes);
  if (value === 'LockPCR') return { kind: value };
  const [entry, ...more] = isMap(value) ? [...value] : [];
  if (entry === undefined || more.length > 0) throw bad('it is no map of one answer');
  const [kind, fields] = entry;
  if (kind === 'Error') throw refusal(fields);
  if (!isMap(fields)) throw bad('it has no fields');
  const take = (name: string): Uint8Array => bytesOf(fields.get(name), name);
  const register = (): Uint8Array => {
    const data = take('data');
    if (data.length !== PCR_BYTES) throw bad('a register of the wrong size');
    return data;
  };
  switch (kind) {
    case 'Attestation':
      return { kind, document: take('document') };
    case 'GetRandom':
      return { kind, random: take('random') };
    case 'ExtendPCR':
      return { kind, data: register() };
    case 'DescribePCR': {
      const lock = fields.get('lock');
      if (typeof lock !== 'boolean') throw bad('it does not say whether the register is locked');
      return { kind, lock, data: register() };
    }
    case 'DescribeNSM':
      return { kind, description: descriptionOf(fields) };
    default:
      throw bad('an unknown kind');
  }
}

function descriptionOf(fields: CborMap): NsmDescription {
  const moduleId = fields.get('module_id');
  const locked = fields.get('locked_pcrs');
  if (typeof moduleId !== 'string' || fields.get('digest') !== 'SHA384' || !isList(locked)) {
    throw bad('it does not describe a module with SHA384');
  }
  const number = (name: string): number => integerOf(fields.get(name));
  return {
    version: ['version_major', 'version_minor', 'version_patch'].map(number).join('.'),
    moduleId,
    pcrCount: number('max_pcrs'),
    lockedPcrs: locked.map(integerOf),
  };
}

function integerOf(value: CborValue | undefined): number {
  if (typeof value !== 'number' || value < 0) throw bad('a number that is none');
  return value;
}

function bytesOf(value: CborValue | undefined, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0) throw bad(`it has no ${name}`);
  return value;
}

function isMap(value: CborValue): value is CborMap {
  return value instanceof Map;
}

function isList(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}

function isOf<Kind extends NsmResponse['kind']>(
  response: NsmResponse,
  kind: Kind,
): response is Extract<NsmResponse, { kind: Kind }> {
  return response.kind === kind;
}

function refusal(code: CborValue): KmsError {
  const text = `the security module answers ${typeof code === 'string' ? code : 'with an error'}`;
  return new KmsError(REFUSALS.has(code) ? 'BAD_INPUT' : 'UNAVAILABLE', text);
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not an answer of the security module: ${what}`);
}
