import { parseArgs } from 'node:util';
import { openPlatform } from '#platform';
import { openChainHead, ROOTS } from '#roots';
import { codeOf, KmsError } from '../shared/errors.ts';
import { Kernel } from '../shared/math/kernel/kernel.ts';
import { readEnclaveConfig } from './config.ts';
import type { Build } from './configurations.ts';
import { openLink } from './link/open.ts';
import { stdoutLog } from './log.ts';
import { EnclaveClock } from './membership/clock.ts';
import { Node, type NodeParts } from './node.ts';
import { nodePrimitives, systemRng } from './primitives.ts';
import { DirectoryStore } from './store/directory-store.ts';

/** The exit code of a process that a later boot has displaced. */
const SUPERSEDED = 3;

/**
 * Runs an enclave, `--config <file>`, until SIGTERM or SIGINT.
 * @param parts replaces parts of the node: for tests that need one that lies
 */
export async function boot(parts: Partial<NodeParts> = {}): Promise<void> {
  try {
    const node = await Node.open({ ...(await standardParts()), ...parts });
    const stop = (): void => {
      stdoutLog('info', 'stopping');
      // Whatever still runs has nothing durable left to do: effects are complete before they are spoken of.
      void node.close().finally(() => process.exit(0));
    };
    process.once('SIGTERM', stop).once('SIGINT', stop);
  } catch (error) {
    stdoutLog('error', 'failed', { code: codeOf(error) });
    process.stderr.write(`${error instanceof KmsError ? error.message : 'the enclave failed'}\n`);
    process.exit(1);
  }
}

async function standardParts(): Promise<NodeParts> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new KmsError('BAD_INPUT', 'usage: enclave/main.ts --config <file>');
  const { dataDirectory, link, roundMs, openingMs } = await readEnclaveConfig(values.config);
  stdoutLog('info', 'started', { pid: process.pid });
  const platform = await openPlatform();
  const clock = await EnclaveClock.start({ nsm: platform.nsm, log: stdoutLog });
  return {
    build: thisBuild(),
    roots: ROOTS,
    head: openChainHead(() => clock.nowMs()),
    nsm: platform.nsm,
    store: await DirectoryStore.open(dataDirectory, await platform.sealingKey(dataDirectory), systemRng),
    link: openLink(link),
    primitives: nodePrimitives,
    rng: systemRng,
    kernel: await Kernel.load(),
    nowMs: () => clock.nowMs(),
    onSuperseded: () => {
      process.stderr.write('a later boot of this node is alive\n');
      process.exit(SUPERSEDED);
    },
    log: stdoutLog,
    roundMs,
    openingMs,
  };
}

function thisBuild(): Build {
  const [root] = ROOTS;
  if (root === undefined) throw new KmsError('INTERNAL', 'this build pins no root');
  return { class: root.class, attestationRoot: root.sha256 };
}
