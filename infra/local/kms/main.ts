import { parseArgs } from 'node:util';
import { ROOTS as labRoots } from '../../../shared/attestation/roots/lab.ts';
import { ROOTS as mockRoots } from '../../../shared/attestation/roots/mock.ts';
import { kmsHost } from '../../../shared/sealing/key-arn.ts';
import { issueEndpointCertificate } from '../aws/endpoint-certificate.ts';
import { readKmsConfig } from './config.ts';
import { KeyStore } from './key-store.ts';
import { Principals } from './principals.ts';
import { startKmsServer } from './server.ts';

/**
 * A stand-in for AWS KMS on this machine, `--config <file>`, until SIGTERM or SIGINT. Writes one line when it is ready:
 * `kms ready https://127.0.0.1:<port>`. DEVELOPMENT ONLY: it keeps keys in the clear.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Error('usage: infra/local/kms/main.ts --config <file>');
  const config = await readKmsConfig(values.config);
  const { region, port } = config;
  const server = await startKmsServer({
    ...{ region, port, principals: new Principals(config.principals) },
    store: await KeyStore.open(config.dataDirectory),
    roots: config.class === 'mock' ? mockRoots : labRoots,
    ...(config.tls
      ? { tls: await issueEndpointCertificate(config.class, [kmsHost(region), 'localhost']) }
      : {}),
  });
  const stop = (): void => {
    void server.close().finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  process.stdout.write(`kms ready ${config.tls ? 'https' : 'http'}://127.0.0.1:${server.port}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'the stand-in for KMS failed'}\n`);
  process.exit(1);
}
