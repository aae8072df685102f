import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import { type Genesis, hasGateway } from '../network/genesis.ts';
import { concat, utf8 } from '../wire/bytes.ts';
import {
  type Field,
  type FieldType,
  type FieldValue,
  type Typed,
  type TypedName,
  typedData,
} from './typed-data.ts';
import { word } from './word.ts';

/** The registry of a network and its chain: the one domain of all its statements, whatever chain verifies them. */
export interface TypedDomain {
  readonly gatewayChainId: bigint;
  /** 20 bytes. */
  readonly registry: Uint8Array;
}

/** Undefined for a network without a gateway. */
export function typedDomainOf(genesis: Genesis): TypedDomain | undefined {
  const { chainId: gatewayChainId, registry } = genesis.gateway;
  return hasGateway(genesis) ? { gatewayChainId, registry } : undefined;
}

const DOMAIN_NAME = 'Threshold KMS';
const DOMAIN_VERSION = '1';
const DOMAIN_TYPE = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)';
const ADDRESS_BYTES = 20;

/** `Name(type field,...)`, whose hash begins every struct. */
export function encodeType(name: TypedName): string {
  return `${name}(${fieldsOf(name)
    .map((field) => `${field.type} ${field.name}`)
    .join(',')})`;
}

/** @returns 32 bytes @throws {KmsError} BAD_INPUT for a value that does not fit its type */
export function hashStruct<Name extends TypedName>(name: Name, statement: Typed<Name>): Uint8Array {
  const values: Readonly<Record<string, FieldValue>> = statement;
  const words = fieldsOf(name).map(({ name: field, type }) => {
    const value = values[field];
    if (value === undefined) throw new KmsError('BAD_INPUT', `${name} needs the field ${field}`);
    return encodeField(type, value);
  });
  return keccak_256(concat(keccak_256(utf8(encodeType(name))), ...words));
}

/** @returns 32 bytes */
export function domainSeparator({ gatewayChainId, registry }: TypedDomain): Uint8Array {
  const words = [
    keccak_256(utf8(DOMAIN_TYPE)),
    keccak_256(utf8(DOMAIN_NAME)),
    keccak_256(utf8(DOMAIN_VERSION)),
    unsigned(gatewayChainId, 256),
    address(registry),
  ];
  return keccak_256(concat(...words));
}

/** What is signed: 32 bytes. @throws {KmsError} BAD_INPUT */
export function typedDigest<Name extends TypedName>(
  domain: TypedDomain,
  name: Name,
  statement: Typed<Name>,
): Uint8Array {
  return keccak_256(concat(Uint8Array.of(0x19, 0x01), domainSeparator(domain), hashStruct(name, statement)));
}

function fieldsOf(name: TypedName): readonly Field[] {
  return typedData[name];
}

function encodeField(type: FieldType, value: FieldValue): Uint8Array {
  if (type === 'bool' && typeof value === 'boolean') return unsigned(value ? 1n : 0n, 8);
  if (type === 'address' && value instanceof Uint8Array) return address(value);
  if (type === 'bytes32' && value instanceof Uint8Array) return bytes32(value);
  if (type === 'bytes' && value instanceof Uint8Array) return keccak_256(value);
  if (type === 'address[]' && Array.isArray(value)) return keccak_256(concat(...value.map(address)));
  if (type === 'bytes32[]' && Array.isArray(value)) return keccak_256(concat(...value.map(bytes32)));
  if (type.startsWith('uint') && !type.endsWith('[]')) return unsigned(value, Number(type.slice(4)));
  throw new KmsError('BAD_INPUT', `a value of type ${type} is expected`);
}

function unsigned(value: FieldValue, bits: number): Uint8Array {
  const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  return word(isInteger ? BigInt(value) : -1n, bits);
}

function bytes32(value: Uint8Array): Uint8Array {
  if (value.length !== 32) throw new KmsError('BAD_INPUT', '32 bytes are expected');
  return value;
}

function address(value: Uint8Array): Uint8Array {
  if (value.length !== ADDRESS_BYTES) throw new KmsError('BAD_INPUT', 'an address has 20 bytes');
  return concat(new Uint8Array(32 - ADDRESS_BYTES), value);
}
