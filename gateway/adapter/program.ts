import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { ChainLog } from './log.ts';

/**
 * Runs a program that takes `--config <file>` and `--help`, until it ends or SIGTERM. What is under way then goes on after the next start.
 * @param serve resolves when the signal is given
 */
export function runProgram(
  usage: string,
  log: ChainLog,
  serve: (configFile: string, stopping: AbortController) => Promise<void>,
): void {
  start(usage, serve)
    .then((hasServed) => {
      if (hasServed) log('info', 'stopped');
      process.exit(0);
    })
    .catch((error: unknown) => {
      log('error', 'failed', { code: codeOf(error) });
      process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
      process.exit(1);
    });
}

async function start(
  usage: string,
  serve: (configFile: string, stopping: AbortController) => Promise<void>,
): Promise<boolean> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(usage);
    return false;
  }
  if (values.config === undefined) throw new KmsError('BAD_INPUT', usage);
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort()).once('SIGINT', () => stopping.abort());
  await serve(values.config, stopping);
  return true;
}
