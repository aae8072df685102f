import { parseArgs } from 'node:util';
import { readAccount } from '../../gateway/adapter/account.ts';
import { stdoutChainLog } from '../../gateway/adapter/log.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { readParentConfig } from '../config.ts';
import { openLink } from '../link/open.ts';
import { Connector } from './connector.ts';
import { EnclaveClient } from './enclave-client.ts';

const USAGE = `usage: parent/connector/main.ts --config <file>

The connector of a parent's configuration, until SIGTERM. parent/main.ts starts it, and starts it again; alone it serves an operator who
wants to see it fail.
`;

const log = stdoutChainLog('connector');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.config === undefined) throw new KmsError('BAD_INPUT', USAGE);
  const { connector: config, link } = await readParentConfig(values.config);
  if (config === undefined) throw new KmsError('BAD_INPUT', `${values.config} has no "connector"`);
  const account = await readAccount(config.accountKeyFile);
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort()).once('SIGINT', () => stopping.abort());
  // Its parent is gone, perhaps without a word: another one will start another connector.
  process.once('disconnect', () => stopping.abort());
  log('info', 'started', { pid: process.pid, address: account.address });
  const enclave = new EnclaveClient(openLink(link));
  const { signal } = stopping;
  await Connector.run({ config, account, enclave, log, signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  log('info', 'stopped');
  // Work under way goes on after the next start.
  process.exit(0);
}

main().catch((error: unknown) => {
  log('error', 'failed', { code: codeOf(error) });
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exit(1);
});
