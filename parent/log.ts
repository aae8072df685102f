import type { Log } from '../shared/log.ts';
import type { LogItem } from '../shared/telemetry.ts';

/** One JSON object per line on standard output; its fields are those of shared/log.ts and nothing else. */
export const stdoutLog: Log = (level, event, fields) => write('parent', { level, event, ...fields });

/** What the enclave logged, with the time at which it came. */
export function writeEnclaveLog({ level, event, fields }: LogItem): void {
  write('enclave', { level, event, ...fields });
}

function write(from: string, line: object): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), process: from, ...line })}\n`);
}
