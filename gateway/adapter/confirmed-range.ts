import { codeOf, KmsError } from '../../shared/errors.ts';
import { mayHaveLogs } from './bloom.ts';
import type { Chain, LogFilter } from './chain.ts';
import type { ChainLogEntry, Header } from './chain-data.ts';
import type { Point } from './cursor.ts';

/** A block and those of its logs that were asked for, in their order. */
export interface ReadBlock {
  readonly number: bigint;
  readonly hash: `0x${string}`;
  /** Seconds. */
  readonly timestamp: bigint;
  readonly logs: readonly ChainLogEntry[];
}

/** What stands after a block: more blocks, or another chain than the one that block is of. */
export type RangeOutcome = { readonly blocks: readonly ReadBlock[] } | 'fork';

/** Headers asked for at once. */
const HEADERS_AT_ONCE = 8;

/**
 * Reads the blocks from..to, one chain by their parent hashes, whose first follows `parent`. An answer that is too large is asked for
 * again with half as many blocks, so fewer may come; never more than one answer's logs are held.
 * @throws {KmsError} UNAVAILABLE if the chain changed meanwhile, or not even one block's logs fit an answer; what Chain throws
 */
export async function readRange(
  chain: Chain,
  filter: LogFilter,
  parent: Point | undefined,
  from: bigint,
  to: bigint,
  signal: AbortSignal,
): Promise<RangeOutcome> {
  const [logs, last] = await logsWithin(chain, filter, from, to, signal);
  const headers = await headersOf(chain, from, last, signal);
  if (parent !== undefined && headers[0]!.parentHash !== parent.hash) return 'fork';
  headers.forEach((header, i) => {
    if (i > 0 && header.parentHash !== headers[i - 1]!.hash) throw changed();
  });
  const byNumber = Map.groupBy(logs, (log) => log.blockNumber);
  const blocks: ReadBlock[] = [];
  for (const header of headers) {
    blocks.push(await blockOf(chain, filter, header, byNumber.get(header.number) ?? [], signal));
  }
  return { blocks };
}

async function logsWithin(
  chain: Chain,
  filter: LogFilter,
  from: bigint,
  to: bigint,
  signal: AbortSignal,
): Promise<readonly [readonly ChainLogEntry[], bigint]> {
  try {
    const logs = await chain.logs(filter, from, to, signal);
    if (logs.some((log) => log.blockNumber < from || log.blockNumber > to)) {
      throw new KmsError('BAD_ENCODING', 'logs of blocks that were not asked for');
    }
    return [logs, to];
  } catch (error) {
    if (codeOf(error) !== 'TOO_LARGE') throw error;
    if (from === to)
      throw new KmsError('UNAVAILABLE', 'the logs of one block do not fit an answer', { cause: error });
    return logsWithin(chain, filter, from, from + (to - from) / 2n, signal);
  }
}

async function headersOf(
  chain: Chain,
  from: bigint,
  to: bigint,
  signal: AbortSignal,
): Promise<readonly Header[]> {
  const headers: Header[] = [];
  for (let first = from; first <= to; first += BigInt(HEADERS_AT_ONCE)) {
    const numbers = Array.from({ length: HEADERS_AT_ONCE }, (_, i) => first + BigInt(i)).filter(
      (n) => n <= to,
    );
    const read = await Promise.all(numbers.map((number) => chain.header(number, signal)));
    for (const header of read) {
      if (header === undefined) throw changed();
      headers.push(header);
    }
  }
  return headers;
}

/** Logs were read before the headers, so what they say of a block is checked against its hash and its bloom filter. */
async function blockOf(
  chain: Chain,
  filter: LogFilter,
  header: Header,
  found: readonly ChainLogEntry[],
  signal: AbortSignal,
): Promise<ReadBlock> {
  const mayHaveMore =
    found.length === 0 && filter.addresses.some((address) => mayHaveLogs(header.logsBloom, address));
  const logs = mayHaveMore ? await chain.logsOf(filter, header.hash, signal) : found;
  logs.forEach((log, i) => {
    const isOfBlock = log.blockHash === header.hash && log.blockNumber === header.number;
    const isInOrder = i === 0 || log.logIndex > logs[i - 1]!.logIndex;
    if (!isOfBlock) throw changed();
    if (!isInOrder) throw new KmsError('BAD_ENCODING', 'logs out of order');
  });
  const { number, hash, timestamp } = header;
  return { number, hash, timestamp, logs };
}

function changed(): KmsError {
  return new KmsError('UNAVAILABLE', 'the chain changed while it was read');
}
