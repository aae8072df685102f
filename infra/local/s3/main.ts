import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { readS3Config } from './config.ts';
import { S3Server } from './server.ts';

/** `node infra/local/s3/main.ts --config <file>`: serves until SIGTERM or SIGINT; one line on standard output when ready. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new KmsError('BAD_INPUT', 'usage: main.ts --config <file>');
  const { listen, tls, ...options } = await readS3Config(values.config);
  const server = await S3Server.open(tls === undefined ? options : { ...options, tls });
  const url = await server.listen(listen.port, listen.host);
  process.stdout.write(`${JSON.stringify({ ready: url })}\n`);
  const stop = () => void server.close().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${codeOf(error)}: ${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = 1;
}
