import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../shared/errors.ts';
import { readAllowList, readParentConfig } from './config.ts';
import { UnixLink } from './link/unix.ts';
import { stdoutLog } from './log.ts';
import { Relay } from './relay.ts';

/** `node parent/main.ts --config <file>`: runs until SIGTERM or SIGINT. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new KmsError('BAD_INPUT', 'usage: parent/main.ts --config <file>');
  const config = await readParentConfig(values.config);
  const relay = await Relay.open({
    link: new UnixLink(config.socketDirectory),
    listen: config.listen,
    allowed: () => readAllowList(config.egressFile),
    log: stdoutLog,
  });
  stdoutLog('info', 'started', { pid: process.pid, address: `${config.listen.host}:${config.listen.port}` });
  const stop = (): void => {
    stdoutLog('info', 'stopping');
    void relay.close();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

main().catch((error: unknown) => {
  stdoutLog('error', 'failed', { code: codeOf(error) });
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
});
