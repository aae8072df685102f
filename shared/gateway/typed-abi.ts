import { KmsError } from '../errors.ts';
import { type AbiField, addressWord, encodeStruct } from './abi.ts';
import { type Field, type FieldValue, type Typed, type TypedName, typedData } from './typed-data.ts';
import { word } from './word.ts';

/** `abi.encode` of a statement, as contracts decode it. @throws {KmsError} BAD_INPUT for a value that does not fit its type */
export function encodeTyped<Name extends TypedName>(name: Name, statement: Typed<Name>): Uint8Array {
  const fields: readonly Field[] = typedData[name];
  const values: Readonly<Record<string, FieldValue>> = statement;
  return encodeStruct(fields.map(({ name: field, type }) => abiField(type, values[field])));
}

function abiField(type: Field['type'], value: FieldValue | undefined): AbiField {
  if (value instanceof Uint8Array) {
    if (type === 'bytes') return { bytes: value };
    if (type === 'address') return addressWord(value);
    if (type === 'bytes32') return value;
  } else if (typeof value === 'boolean') {
    if (type === 'bool') return word(value ? 1n : 0n);
  } else if (typeof value === 'bigint' || typeof value === 'number') {
    if (type.startsWith('uint')) return word(BigInt(value), Number(type.slice(4)));
  } else if (value !== undefined && type.endsWith('[]')) {
    return value.map((item) => (type === 'address[]' ? addressWord(item) : item));
  }
  throw new KmsError('BAD_INPUT', `a value of type ${type} is expected`);
}
