import type { Log } from '../shared/log.ts';

/** Writes each line to several logs. */
export function logTo(...logs: readonly Log[]): Log {
  return (level, event, fields) => {
    for (const log of logs) log(level, event, fields);
  };
}

/** One JSON object per line on standard output; its fields are those of shared/log.ts and nothing else. */
export const stdoutLog: Log = (level, event, fields) => {
  const time = new Date().toISOString();
  process.stdout.write(`${JSON.stringify({ time, process: 'enclave', level, event, ...fields })}\n`);
};
