import { runCli } from './cli.ts';
import { exitCodes } from './exit-code.ts';
import { Interrupts } from './terminal.ts';

const interrupts = new Interrupts();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (interrupts.interrupt()) process.exit(exitCodes.interrupted);
  });
}
// A reader that has gone (`kms keys | head -1`) is no reason to complain.
process.stdout.on('error', () => process.exit(exitCodes.ok));

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  nowMs: () => performance.now(),
  interrupts,
});
