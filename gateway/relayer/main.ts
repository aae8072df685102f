import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { readAccount } from '../adapter/account.ts';
import { stdoutChainLog } from '../adapter/log.ts';
import { RELAYER_CONFIG, readRelayerConfig } from './config.ts';
import { connect } from './connect.ts';
import { Relayer } from './relayer.ts';

const USAGE = `usage: gateway/relayer/main.ts --config <file>

Carries decryption requests, answers, handles, keys and committees between a gateway and its host chains, until SIGTERM. Anybody may run
one, any number work side by side, and none is trusted. The file:

${RELAYER_CONFIG}
`;

const log = stdoutChainLog('relayer');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.config === undefined) throw new KmsError('BAD_INPUT', USAGE);
  const config = await readRelayerConfig(values.config);
  const account = await readAccount(config.accountKeyFile);
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort()).once('SIGINT', () => stopping.abort());
  const { signal } = stopping;
  const network = await connect(config, account, log, signal);
  const relayer = await Relayer.open({
    ...{ network, signal, stateDirectory: config.stateDirectory, gatewayFinality: config.gateway.finality },
    follow: new Map(config.hosts.map((host) => [host.chainId, host])),
  });
  log('info', 'started', { pid: process.pid, address: account.address });
  await relayer.run();
  log('info', 'stopped');
  // Work under way goes on after the next start.
  process.exit(0);
}

main().catch((error: unknown) => {
  log('error', 'failed', { code: codeOf(error) });
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exit(1);
});
