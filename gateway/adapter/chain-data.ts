import { KmsError } from '../../shared/errors.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import { isRecord } from './endpoint.ts';

/** Strict readers of what an endpoint answers: lower-case hex strings of stated sizes, unsigned integers as bigint. */
export type Hex = `0x${string}`;

/** What a follower needs of a block's header. */
export interface Header {
  readonly number: bigint;
  readonly hash: Hex;
  readonly parentHash: Hex;
  /** Seconds. */
  readonly timestamp: bigint;
  /** 2048 bits. */
  readonly logsBloom: Hex;
  readonly baseFeePerGas: bigint;
}

/** An event of a contract, as it stands in a block. */
export interface ChainLogEntry {
  readonly address: Hex;
  /** 1..4 words: anonymous events are none of ours. */
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly transactionHash: Hex;
  readonly logIndex: number;
}

export interface Receipt {
  readonly transactionHash: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly isSuccess: boolean;
  readonly gasUsed: bigint;
}

export interface Transaction {
  readonly hash: Hex;
  readonly from: Hex;
  /** Undefined: it creates a contract. */
  readonly to: Hex | undefined;
  readonly input: Hex;
}

/** Of one event; contracts here emit far less. */
const MAX_LOG_BYTES = 512 << 10;
const MAX_CALLDATA_BYTES = 1 << 20;
export const MAX_LOGS = 20_000;

export function readHeader(value: unknown): Header {
  const of = record(value, 'header');
  return {
    number: quantity(of.number),
    hash: fixed(of.hash, 32),
    parentHash: fixed(of.parentHash, 32),
    timestamp: quantity(of.timestamp, 64),
    logsBloom: fixed(of.logsBloom, 256),
    baseFeePerGas: of.baseFeePerGas === undefined ? 0n : quantity(of.baseFeePerGas),
  };
}

/** Removed entries are refused: nobody here asks for a subscription. */
export function readLogs(value: unknown): readonly ChainLogEntry[] {
  if (!Array.isArray(value)) throw bad('logs that are no list');
  if (value.length > MAX_LOGS) throw new KmsError('TOO_LARGE', `at most ${MAX_LOGS} logs in one answer`);
  return value.map(readLog);
}

function readLog(value: unknown): ChainLogEntry {
  const of = record(value, 'log');
  const { topics } = of;
  if (!Array.isArray(topics) || topics.length < 1 || topics.length > 4 || of.removed === true) {
    throw bad('a log with other than 1..4 topics, or a removed one');
  }
  return {
    address: fixed(of.address, 20),
    topics: topics.map((topic) => fixed(topic, 32)),
    data: data(of.data, MAX_LOG_BYTES),
    blockNumber: quantity(of.blockNumber, 64),
    blockHash: fixed(of.blockHash, 32),
    transactionHash: fixed(of.transactionHash, 32),
    logIndex: Number(quantity(of.logIndex, 32)),
  };
}

export function readReceipt(value: unknown): Receipt {
  const of = record(value, 'receipt');
  const status = quantity(of.status, 8);
  if (status > 1n) throw bad('a receipt with a status other than 0 or 1');
  return {
    transactionHash: fixed(of.transactionHash, 32),
    blockNumber: quantity(of.blockNumber, 64),
    blockHash: fixed(of.blockHash, 32),
    isSuccess: status === 1n,
    gasUsed: quantity(of.gasUsed, 64),
  };
}

export function readTransaction(value: unknown): Transaction {
  const of = record(value, 'transaction');
  return {
    hash: fixed(of.hash, 32),
    from: fixed(of.from, 20),
    to: of.to === null || of.to === undefined ? undefined : fixed(of.to, 20),
    input: data(of.input, MAX_CALLDATA_BYTES),
  };
}

/** @throws {KmsError} BAD_ENCODING unless it is the shortest hex of an unsigned integer of so many bits */
export function quantity(value: unknown, bits = 256): bigint {
  if (typeof value !== 'string' || !/^0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})$/.test(value))
    throw bad('a bad integer');
  const number = BigInt(value);
  if (number >> BigInt(bits) !== 0n) throw bad(`an integer of more than ${bits} bits`);
  return number;
}

/** @throws {KmsError} BAD_ENCODING unless it is so many bytes */
export function fixed(value: unknown, sizeBytes: number): Hex {
  const bytes = data(value, sizeBytes);
  if (bytes.length !== 2 + 2 * sizeBytes) throw bad(`other than ${sizeBytes} bytes`);
  return bytes;
}

/** @throws {KmsError} BAD_ENCODING */
export function data(value: unknown, maxBytes: number): Hex {
  if (typeof value !== 'string' || value.length > 2 + 2 * maxBytes)
    throw bad(`no hex of at most ${maxBytes} bytes`);
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(value)) throw bad('no hex of whole bytes');
  return value.toLowerCase() as Hex;
}

/** @param hex as checked before, in either case */
export function bytesOf(hex: Hex): Uint8Array {
  return fromHex(hex.slice(2).toLowerCase());
}

export function hexOf(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`;
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw bad(`no ${what}`);
  return value;
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `the endpoint gives ${what}`);
}
