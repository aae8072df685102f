import type { ErrorCode } from '../../shared/errors.ts';
import type { Refusal } from './endpoint.ts';

/** What the processes around the chains log. All of it is public; there is no field for bytes or free text. */
export interface ChainLogFields {
  readonly chain?: number;
  readonly fromBlock?: number;
  readonly toBlock?: number;
  readonly count?: number;
  readonly step?: string;
  /** Name of a piece of work or of a transaction, as this program builds it. */
  readonly item?: string;
  readonly code?: ErrorCode;
  /** Of a revert: the selector of the contract's error. */
  readonly revert?: string;
  readonly address?: string;
  readonly pid?: number;
}

/** @param event a constant name in kebab case, never built from data */
export type ChainLog = (level: 'info' | 'warn' | 'error', event: string, fields?: ChainLogFields) => void;

export const silentChainLog: ChainLog = () => {};

/** One JSON object per line on standard output. @param process name of the process */
export function stdoutChainLog(process: string): ChainLog {
  return (level, event, fields) => {
    const line = { time: new Date().toISOString(), process, level, event, ...fields };
    globalThis.process.stdout.write(`${JSON.stringify(line)}\n`);
  };
}

/** What may be logged of a refusal. */
export function revertOf({ revertData }: Refusal): Pick<ChainLogFields, 'revert'> {
  return revertData === undefined ? {} : { revert: revertData.slice(0, 10) };
}
