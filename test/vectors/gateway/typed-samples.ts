import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type AbiParameter, encodeAbiParameters, type Hex } from 'viem';
import {
  domainSeparator,
  encodeType,
  hashStruct,
  type TypedDomain,
  typedDigest,
} from '../../../shared/gateway/eip712.ts';
import { addressOf, signDigest } from '../../../shared/gateway/signature.ts';
import {
  type Field,
  type FieldType,
  type FieldValue,
  type Typed,
  type TypedName,
  typedData,
  typedNames,
} from '../../../shared/gateway/typed-data.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';

/** A public key for these vectors alone. */
export const secret: Uint8Array = keccak_256(utf8('vectors'));
export const signer: Uint8Array = addressOf(secp256k1.getPublicKey(secret, true));
export const domain: TypedDomain = { gatewayChainId: 31337n, registry: bytes('registry', 20) };

export const hex = (value: Uint8Array): Hex => `0x${toHex(value)}`;

/** One statement of every type; every field is nonzero and unlike the others. */
export function sampleOf(name: TypedName): Readonly<Record<string, FieldValue>> {
  const fields: readonly Field[] = typedData[name];
  return Object.fromEntries(
    fields.map((field) => [field.name, sampleValue(`${name}.${field.name}`, field.type)]),
  );
}

export function typedVectors(): object {
  const types = typedNames.map((name) => {
    const statement = sampleOf(name);
    // The sample is made from the type's own fields.
    const typed = statement as Typed<typeof name>;
    const digest = typedDigest(domain, name, typed);
    return {
      name,
      type: encodeType(name),
      statement: Object.fromEntries(Object.entries(statement).map(([field, value]) => [field, text(value)])),
      encoded: encodedOf(name, statement),
      structHash: hex(hashStruct(name, typed)),
      digest: hex(digest),
      signature: hex(signDigest(digest, secret)),
    };
  });
  return {
    domain: {
      gatewayChainId: domain.gatewayChainId.toString(),
      registry: hex(domain.registry),
      separator: hex(domainSeparator(domain)),
    },
    signer: hex(signer),
    types,
  };
}

/** abi.encode of the struct, by viem. */
function encodedOf(name: TypedName, statement: Readonly<Record<string, FieldValue>>): Hex {
  const fields: readonly Field[] = typedData[name];
  const struct: AbiParameter = {
    type: 'tuple',
    components: fields.map(({ name: field, type }) => ({ name: field, type })),
  };
  return encodeAbiParameters(
    [struct],
    [Object.fromEntries(fields.map((f) => [f.name, viemValue(statement[f.name]!)]))],
  );
}

export function viemValue(value: FieldValue): unknown {
  if (value instanceof Uint8Array) return hex(value);
  return Array.isArray(value) ? value.map((item: Uint8Array) => hex(item)) : value;
}

function text(value: FieldValue): unknown {
  return typeof value === 'bigint' ? value.toString() : viemValue(value);
}

function sampleValue(seed: string, type: FieldType): FieldValue {
  const number = BigInt(`0x${toHex(keccak_256(utf8(seed)))}`);
  switch (type) {
    case 'address':
      return bytes(seed, 20);
    case 'bool':
      return true;
    case 'bytes':
      return utf8(seed);
    case 'bytes32':
      return bytes(seed, 32);
    case 'uint8':
      return Number(number % 255n) + 1;
    case 'uint32':
      return Number(number % 0xffffffffn) + 1;
    case 'uint64':
      return (number & 0xffffffffffffffffn) | 1n;
    case 'uint256':
      return number | 1n;
    case 'address[]':
      return [1, 2, 3, 4].map((i) => bytes(`${seed}.${i}`, 20));
    case 'bytes32[]':
      return [1, 2, 3].map((i) => bytes(`${seed}.${i}`, 32));
  }
}

function bytes(seed: string, sizeBytes: number): Uint8Array {
  return keccak_256(utf8(seed)).subarray(0, sizeBytes);
}
