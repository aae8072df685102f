import { KmsError } from '../../errors.ts';
import { fromHex } from '../../wire/bytes.ts';
import type { AccountProof } from './assemble.ts';
import { readHeader } from './header.ts';
import { encodeRlp, integerBytes } from './rlp.ts';

/** What JSON-RPC endpoints answer (Ethereum execution API), as bytes that can be checked; nothing in it is believed. */

const quantity = 'quantity';
const data = 'data';

/** Names in `eth_getBlockByNumber`, in the order of the encoding. */
const headerFields: readonly (readonly [string, typeof quantity | typeof data])[] = [
  ['parentHash', data],
  ['sha3Uncles', data],
  ['miner', data],
  ['stateRoot', data],
  ['transactionsRoot', data],
  ['receiptsRoot', data],
  ['logsBloom', data],
  ['difficulty', quantity],
  ['number', quantity],
  ['gasLimit', quantity],
  ['gasUsed', quantity],
  ['timestamp', quantity],
  ['extraData', data],
  ['mixHash', data],
  ['nonce', data],
  ['baseFeePerGas', quantity],
  ['withdrawalsRoot', data],
  ['blobGasUsed', quantity],
  ['excessBlobGas', quantity],
  ['parentBeaconBlockRoot', data],
  ['requestsHash', data],
];

/**
 * Encoding of a block's header; its hash is what the endpoint should have named.
 * @param block result of `eth_getBlockByNumber` or `eth_getBlockByHash`
 * @throws {KmsError} BAD_ENCODING, TOO_LARGE
 */
export function headerFromRpc(block: unknown): Uint8Array {
  const answer = recordOf(block);
  const items = headerFields.flatMap(([name, form]) => {
    const text = answer[name];
    if (text === undefined || text === null) return [];
    return [form === quantity ? integerBytes(quantityOf(text)) : dataOf(text)];
  });
  const header = encodeRlp(items);
  readHeader(header);
  return header;
}

/** @param proof result of `eth_getProof` @throws {KmsError} BAD_ENCODING */
export function proofFromRpc(proof: unknown): AccountProof {
  const answer = recordOf(proof);
  const storage = arrayOf(answer.storageProof).map(recordOf);
  return {
    address: dataOf(answer.address),
    slots: storage.map(({ key }) => slotOf(key)),
    nodes: [answer.accountProof, ...storage.map((slot) => slot.proof)].flatMap(arrayOf).map(dataOf),
  };
}

/** Some endpoints answer with the key as it was asked, others with a quantity. */
function slotOf(key: unknown): Uint8Array {
  const text = textOf(key);
  return fromHex(text.slice(2).padStart(64, '0'));
}

function dataOf(value: unknown): Uint8Array {
  return fromHex(textOf(value).slice(2));
}

function quantityOf(value: unknown): bigint {
  const text = textOf(value);
  if (!/^0x(?:0|[1-9a-f][0-9a-f]{0,63})$/.test(text)) throw bad('a quantity is hex without leading zeros');
  return BigInt(text);
}

function textOf(value: unknown): string {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]*$/.test(value)) throw bad('a value is hex, from 0x on');
  return value.toLowerCase();
}

function arrayOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw bad('a list is expected');
  return value;
}

/** What is no object has no fields. */
function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' ? { ...value } : {};
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `not an answer of an Ethereum endpoint: ${what}`);
}
