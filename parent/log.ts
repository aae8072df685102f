import type { Log } from '../shared/log.ts';

/** One JSON object per line on standard output; its fields are those of shared/log.ts and nothing else. */
export const stdoutLog: Log = (level, event, fields) => {
  const time = new Date().toISOString();
  process.stdout.write(`${JSON.stringify({ time, process: 'parent', level, event, ...fields })}\n`);
};
