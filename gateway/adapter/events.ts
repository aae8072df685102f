import {
  type Abi,
  type ContractEventName,
  type DecodeEventLogReturnType,
  decodeEventLog,
  encodeEventTopics,
} from 'viem';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Chain } from './chain.ts';
import { type ChainLogEntry, type Hex, readLogs } from './chain-data.ts';
import type { Contract } from './contract.ts';

/**
 * An event of a contract.
 * @returns undefined for an event of another contract, or one that the ABI does not name
 * @throws {KmsError} BAD_ENCODING if its data is not what the ABI says
 */
export function eventOf<const A extends Abi>(
  { abi, address, chain: _ }: Contract<A>,
  log: ChainLogEntry,
): DecodeEventLogReturnType<A> | undefined {
  if (log.address !== address) return undefined;
  const isKnown = abi.some((item) => item.type === 'event' && topicOf(abi, item.name) === log.topics[0]);
  if (!isKnown) return undefined;
  try {
    return decodeEventLog({ abi, data: log.data, topics: log.topics as [Hex, ...Hex[]], strict: true });
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', 'an event with other data than its contract emits', { cause });
  }
}

/** First topic of an event. */
export function topicOf(abi: Abi, eventName: string): Hex {
  const [topic] = encodeEventTopics({ abi, eventName: eventName as ContractEventName<Abi> } as never);
  return topic as unknown as Hex;
}

/** As text for a file; logOf() reads it. */
export function textOf(log: ChainLogEntry): string {
  const { blockNumber, logIndex, ...rest } = log;
  return JSON.stringify({
    ...rest,
    blockNumber: `0x${blockNumber.toString(16)}`,
    logIndex: `0x${logIndex.toString(16)}`,
  });
}

/** @throws {KmsError} BAD_ENCODING */
export function logOf(text: string): ChainLogEntry {
  return readLogs([JSON.parse(text)])[0]!;
}

/** Blocks of one look into the past. */
const WINDOW = 5_000n;

/**
 * Events of a contract with these topics, from the newest block backwards, window by window; windows that an endpoint finds too large are
 * halved.
 * @param firstBlock where to give up
 * @returns for each window its events, if any, in their order
 */
export async function* eventsBackwards(
  chain: Chain,
  address: Hex,
  topics: readonly (Hex | null)[],
  firstBlock: bigint,
): AsyncGenerator<readonly ChainLogEntry[]> {
  let window = WINDOW;
  let to = (await chain.latest()).number;
  while (to >= firstBlock) {
    const from = to - window + 1n > firstBlock ? to - window + 1n : firstBlock;
    try {
      const found = await chain.logs({ addresses: [address], topics }, from, to);
      to = from - 1n;
      if (found.length > 0) yield found;
    } catch (error) {
      if (codeOf(error) !== 'TOO_LARGE' || window === 1n) throw error;
      window /= 2n;
    }
  }
}
