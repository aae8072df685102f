import type { Duplex } from 'node:stream';
import { parseArgs } from 'node:util';
import { openPlatform } from '#platform';
import { ENDPOINT_ROOTS, openChainHead, ROOTS } from '#roots';
import { codeOf, KmsError } from '../shared/errors.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import { Kernel } from '../shared/math/kernel/kernel.ts';
import { openAwsCloud, openAwsSuccessor } from './aws/aws-cloud.ts';
import { RecipientKey } from './aws/recipient-key.ts';
import { type EnclaveConfig, readEnclaveConfig } from './config.ts';
import type { Build } from './configurations.ts';
import { keepIntroduced } from './introduction.ts';
import { openLink } from './link/open.ts';
import { logTo, stdoutLog } from './log.ts';
import { EnclaveClock } from './membership/clock.ts';
import { Node, type NodeParts } from './node.ts';
import type { OpenPlatform } from './platform/platform.ts';
import { nodePrimitives, systemRng } from './primitives.ts';
import { Telemetry } from './telemetry.ts';

/** The exit code of a process that a later boot has displaced. */
const SUPERSEDED = 3;
/** For the last log lines to reach the parent. */
const FAREWELL_MS = 500;

/**
 * Runs an enclave, `--config <file>`, until SIGTERM or SIGINT.
 * @param parts replaces parts of the node: for tests that need one that lies
 * @param open the machine below, of the build: for a lab's nodes that are processes
 */
export async function boot(parts: Partial<NodeParts> = {}, open: OpenPlatform = openPlatform): Promise<void> {
  let telemetry: Telemetry | undefined;
  const log = logTo(stdoutLog, (...line) => telemetry?.log(...line));
  const end = async (code: number): Promise<never> => {
    await telemetry?.flush(FAREWELL_MS);
    process.exit(code);
  };
  try {
    const config = await readConfig();
    const link = openLink(config.link);
    // An enclave's own output goes nowhere: what it has to say goes to its parent, from the first line on.
    telemetry = Telemetry.open({ link });
    log('info', 'started', { pid: process.pid });
    let node: Node | undefined;
    const stop = (): void => {
      log('info', 'stopping');
      // Whatever still runs has nothing durable left to do: effects are complete before they are spoken of.
      void Promise.resolve(node?.close()).finally(() => end(0));
    };
    process.once('SIGTERM', stop).once('SIGINT', stop);
    const standard = await standardParts(config, link, log, open, () => void end(SUPERSEDED));
    node = await Node.open({ ...standard, ...parts });
    void keepIntroduced(node, link, log);
  } catch (error) {
    log('error', 'failed', { code: codeOf(error) });
    process.stderr.write(`${error instanceof KmsError ? error.message : 'the enclave failed'}\n`);
    await end(1);
  }
}

async function readConfig(): Promise<EnclaveConfig> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new KmsError('BAD_INPUT', 'usage: enclave/main.ts --config <file>');
  return readEnclaveConfig(values.config);
}

async function standardParts(
  { roundMs, openingMs, cloudMs }: EnclaveConfig,
  link: Link<Duplex>,
  log: Log,
  open: OpenPlatform,
  end: () => void,
): Promise<NodeParts> {
  const recipientKey = RecipientKey.generate();
  const platform = await open();
  const aws = { link, nsm: platform.nsm, roots: ENDPOINT_ROOTS, recipientKey, attemptMs: cloudMs };
  const clock = await EnclaveClock.start({ nsm: platform.nsm, log });
  return {
    build: thisBuild(),
    roots: ROOTS,
    head: openChainHead(() => clock.nowMs()),
    nsm: platform.nsm,
    openCloud: (place) => openAwsCloud(aws, place),
    openSuccessor: (place, measurements) => openAwsSuccessor(aws, place, measurements),
    link,
    primitives: nodePrimitives,
    rng: systemRng,
    kernel: await Kernel.load(),
    nowMs: () => clock.nowMs(),
    onSuperseded: () => {
      process.stderr.write('a later boot of this node is alive\n');
      end();
    },
    log,
    roundMs,
    openingMs,
  };
}

function thisBuild(): Build {
  const [root] = ROOTS;
  if (root === undefined) throw new KmsError('INTERNAL', 'this build pins no root');
  return { class: root.class, attestationRoot: root.sha256 };
}
