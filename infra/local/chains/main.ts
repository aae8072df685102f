import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { type ChainSave, saveChain } from './chain-save.ts';
import { identityIn } from './front-identity.ts';
import { readFrontsConfig } from './fronts-config.ts';
import { TlsFront } from './tls-front.ts';

const SAVE_EVERY_MS = 5_000;
/** Of all time: a chain that has run for long takes long to save. */
const SAVING_SHARE = 0.05;

/**
 * Serves the TLS fronts of a local network's chains and writes the chains down every few seconds, `--config <file>`, until SIGTERM
 * or SIGINT. Writes one line when all fronts listen. What chains hold is lost with them but for the last file, so a machine that
 * loses power loses seconds of them.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) {
    throw new KmsError('BAD_INPUT', 'usage: infra/local/chains/main.ts --config <file>');
  }
  const { fronts, saves } = await readFrontsConfig(values.config);
  for (const { port, upstream, identityFile } of fronts) {
    await TlsFront.open(upstream, port, await identityIn(identityFile));
  }
  // Half a file is no file: saveChain() may be broken off anywhere.
  const stop = (): void => process.exit(0);
  process.once('SIGTERM', stop).once('SIGINT', stop);
  say('fronts-ready', {});
  for (const save of saves) void keep(save);
}

async function keep(save: ChainSave): Promise<never> {
  for (;;) {
    const beganMs = performance.now();
    await saveChain(save).catch((error: unknown) => say('chain-not-saved', { code: codeOf(error) }));
    await sleep(Math.max(SAVE_EVERY_MS, (performance.now() - beganMs) / SAVING_SHARE));
  }
}

function say(event: string, fields: { readonly code?: string }): void {
  const time = new Date().toISOString();
  process.stdout.write(`${JSON.stringify({ time, process: 'fronts', event, ...fields })}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'the fronts failed'}\n`);
  process.exit(1);
}
