import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { readAccount } from '../adapter/account.ts';
import { persistently } from '../adapter/backoff.ts';
import { Chain } from '../adapter/chain.ts';
import type { ChainConfig } from '../adapter/config-file.ts';
import { httpEndpoint } from '../adapter/endpoint.ts';
import { stdoutChainLog } from '../adapter/log.ts';
import { gatewayContracts, hostContracts } from '../adapter/network-contracts.ts';
import { Sender } from '../adapter/sender.ts';
import { COPROCESSOR_CONFIG, type CoprocessorConfig, readCoprocessorConfig } from './config.ts';
import { Coprocessor, type FollowedHost } from './coprocessor.ts';
import { type EnvelopeStore, FileEnvelopes } from './envelope-store.ts';
import { recordFiles } from './evaluation-keys.ts';
import { S3Envelopes } from './s3-envelopes.ts';
import { Uploads } from './uploads.ts';

const USAGE = `usage: gateway/coprocessor/main.ts --config <file>

Evaluates what contracts compute on handles, keeps the envelopes, and commits their digests on the gateway, until SIGTERM. The file:

${COPROCESSOR_CONFIG}
`;

const log = stdoutChainLog('coprocessor');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.config === undefined) throw new KmsError('BAD_INPUT', USAGE);
  await serve(await readCoprocessorConfig(values.config));
}

async function serve(config: CoprocessorConfig): Promise<void> {
  const { stateDirectory, keysDirectory, envelopes } = config;
  const account = await readAccount(config.accountKeyFile);
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort()).once('SIGINT', () => stopping.abort());
  const { signal } = stopping;
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
    hosts.push({ ...(await patiently(() => hostContracts(gateway, hostChain))), ...host });
  }
  let coprocessor: Coprocessor | undefined;
  const directory = join(stateDirectory, 'uploads');
  const uploads = await Uploads.open({ directory, onUpload: (digest) => coprocessor?.uploaded(digest) });
  const store: EnvelopeStore =
    'directory' in envelopes ? new FileEnvelopes(envelopes.directory) : new S3Envelopes(envelopes);
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
    keys: recordFiles(keysDirectory, gateway.keys),
    sender: new Sender({ chain, account, log, signal }),
  });
  const { host, port } = config.uploads;
  const listening = await uploads.listen(port, host);
  log('info', 'started', { pid: process.pid, address: `${host}:${listening}` });
  await coprocessor.run();
  uploads.close();
  log('info', 'stopped');
  // Work under way goes on after the next start.
  process.exit(0);
}

main().catch((error: unknown) => {
  log('error', 'failed', { code: codeOf(error) });
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exit(1);
});
