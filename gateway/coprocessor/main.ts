import { join } from 'node:path';
import { readAccount } from '../adapter/account.ts';
import { persistently } from '../adapter/backoff.ts';
import { Chain } from '../adapter/chain.ts';
import type { Hex } from '../adapter/chain-data.ts';
import type { ChainConfig } from '../adapter/config-file.ts';
import { httpEndpoint } from '../adapter/endpoint.ts';
import { headsOf } from '../adapter/heads.ts';
import { stdoutChainLog } from '../adapter/log.ts';
import { gatewayContracts, hostContracts } from '../adapter/network-contracts.ts';
import { runProgram } from '../adapter/program.ts';
import { Sender } from '../adapter/sender.ts';
import { COPROCESSOR_CONFIG, type CoprocessorConfig, readCoprocessorConfig } from './config.ts';
import { Coprocessor, type FollowedHost } from './coprocessor.ts';
import { type EnvelopeStore, FileEnvelopes } from './envelope-store.ts';
import { certifiedKeys, recordSource } from './evaluation-keys.ts';
import { S3Envelopes } from './s3-envelopes.ts';
import { Uploads } from './uploads.ts';

const USAGE = `usage: gateway/coprocessor/main.ts --config <file>

Evaluates what contracts compute on handles, keeps the envelopes, and commits their digests on the gateway, until SIGTERM. The file:

${COPROCESSOR_CONFIG}
`;

const log = stdoutChainLog('coprocessor');

runProgram(USAGE, log, async (file, { signal }) => serve(await readCoprocessorConfig(file), signal));

async function serve(config: CoprocessorConfig, signal: AbortSignal): Promise<void> {
  const { stateDirectory, envelopes } = config;
  const account = await readAccount(config.accountKeyFile);
  const patiently = <T>(task: () => Promise<T>): Promise<T> =>
    persistently(task, signal, () => log('warn', 'chain-unavailable'));
  const open = async ({ url, chainId }: ChainConfig): Promise<Chain> => {
    const chain = new Chain(chainId, httpEndpoint({ url }));
    await patiently(() => chain.requireChain(signal));
    return chain;
  };
  const chain = await open(config.gateway);
  const gateway = await patiently(() => gatewayContracts(chain, config.gateway.registry));
  const hosts: FollowedHost[] = [];
  for (const host of config.hosts) {
    const hostChain = await open(host);
    const contracts = await patiently(() => hostContracts(gateway, hostChain));
    hosts.push({ ...contracts, ...host, heads: headsOf(host, log, signal) });
  }
  let coprocessor: Coprocessor | undefined;
  const directory = join(stateDirectory, 'uploads');
  const store: EnvelopeStore =
    'directory' in envelopes ? new FileEnvelopes(envelopes.directory) : new S3Envelopes(envelopes);
  const onUpload = (digest: Hex): void => coprocessor?.uploaded(digest);
  const uploads = await Uploads.open({ directory, onUpload, store });
  coprocessor = await Coprocessor.open({
    ...{
      gateway,
      gatewayStartBlock: config.gateway.startBlock,
      hosts,
      store,
      uploads,
      stateDirectory,
      log,
      signal,
    },
    keys: certifiedKeys(config.keys.map(recordSource), gateway.keys, signal),
    sender: new Sender({
      ...{ chain, heads: headsOf(config.gateway, log, signal), account, log, signal },
      pollMs: config.gateway.pollMs,
    }),
  });
  const { host, port } = config.uploads;
  const listening = await uploads.listen(port, host);
  log('info', 'started', { pid: process.pid, address: `${host}:${listening}` });
  await coprocessor.run();
  uploads.close();
}
