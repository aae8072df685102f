import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { EnclaveMachine } from './machine.ts';
import { findLab } from './setup.ts';

/** What infra/local writes for a node whose enclave is an emulated machine. */
export interface MachineConfig {
  readonly image: string;
  /** As in the parent's configuration; the other sockets lie beside it. */
  readonly vhostSocket: string;
}

/** `--config <file>`: runs the machine until SIGTERM, in place of a mock enclave's process. The log is the console. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  const config: MachineConfig = JSON.parse(readFileSync(values.config ?? '', 'utf8'));
  const lab = findLab();
  if (lab === undefined) throw new Error('the lab has not been set up: make lab-setup');
  const machine = await EnclaveMachine.start({
    ...{ lab, image: config.image, directory: dirname(config.vhostSocket) },
    onLine: (line) => process.stdout.write(`${JSON.stringify({ event: 'console', line })}\n`),
  });
  process.once('SIGTERM', () => void machine.stop()).once('SIGINT', () => void machine.stop());
  await machine.ended;
}

await main();
