import { readAccount } from '../../gateway/adapter/account.ts';
import { stdoutChainLog } from '../../gateway/adapter/log.ts';
import { runProgram } from '../../gateway/adapter/program.ts';
import { KmsError } from '../../shared/errors.ts';
import { readParentConfig } from '../config.ts';
import { openLink } from '../link/open.ts';
import { Connector } from './connector.ts';
import { EnclaveClient } from './enclave-client.ts';

const USAGE = `usage: parent/connector/main.ts --config <file>

The connector of a parent's configuration, until SIGTERM. parent/main.ts starts it, and starts it again; alone it serves an operator who
wants to see it fail.
`;

const log = stdoutChainLog('connector');

runProgram(USAGE, log, async (file, stopping) => {
  const { connector: config, link } = await readParentConfig(file);
  if (config === undefined) throw new KmsError('BAD_INPUT', `${file} has no "connector"`);
  const account = await readAccount(config.accountKeyFile);
  // Its parent is gone, perhaps without a word: another one will start another connector.
  process.once('disconnect', () => stopping.abort());
  log('info', 'started', { pid: process.pid, address: account.address });
  const enclave = new EnclaveClient(openLink(link));
  const { signal } = stopping;
  await Connector.run({ config, account, enclave, keys: enclave, log, signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
});
