import { readAccount } from '../adapter/account.ts';
import { stdoutChainLog } from '../adapter/log.ts';
import { runProgram } from '../adapter/program.ts';
import { RELAYER_CONFIG, readRelayerConfig } from './config.ts';
import { connect } from './connect.ts';
import { Relayer } from './relayer.ts';

const USAGE = `usage: gateway/relayer/main.ts --config <file>

Carries decryption requests, answers, handles, keys and committees between a gateway and its host chains, until SIGTERM. Anybody may run
one, any number work side by side, and none is trusted. The file:

${RELAYER_CONFIG}
`;

const log = stdoutChainLog('relayer');

runProgram(USAGE, log, async (file, { signal }) => {
  const config = await readRelayerConfig(file);
  const account = await readAccount(config.accountKeyFile);
  const network = await connect(config, account, log, signal);
  const relayer = await Relayer.open({
    ...{ network, signal, stateDirectory: config.stateDirectory, gatewayFinality: config.gateway.finality },
    ...(config.gateway.pollMs === undefined ? {} : { pollMs: config.gateway.pollMs }),
    follow: new Map(config.hosts.map((host) => [host.chainId, host])),
  });
  log('info', 'started', { pid: process.pid, address: account.address });
  await relayer.run();
});
