import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { codeOf, KmsError } from '../shared/errors.ts';
import { AllowList } from './allow-list.ts';
import { type ParentConfig, readParentConfig } from './config.ts';
import { ConnectorProcess } from './connector/process.ts';
import { probe } from './health.ts';
import { openLink } from './link/open.ts';
import { stdoutLog, writeEnclaveLog } from './log.ts';
import { MemberHosts } from './member-hosts.ts';
import { loadSpliceAddon } from './native/splice-addon.ts';
import { prometheusText } from './prometheus.ts';
import { Relay } from './relay.ts';
import { EnclaveServices } from './services.ts';
import { StatusServer } from './status.ts';
import { TelemetrySink } from './telemetry.ts';

const USAGE = 'usage: parent/main.ts --config <file> [--health]';
/** For connections to fall quiet after SIGTERM. */
const DRAIN_MS = 2_000;
/** For the parent before this one to let go of port and sockets. */
const TAKEOVER_MS = 5_000;
const TAKEOVER_POLL_MS = 25;
/** Where `make native` puts it. */
const SPLICE_ADDON = fileURLToPath(new URL('../out/native/splice.node', import.meta.url));

/**
 * `--config <file>`: runs until SIGTERM or SIGINT; it then lets go of its sockets at once, so that the next parent can
 * take them, and of its connections when they are quiet. `--health`: asks the enclave through the running parent; exit
 * code 0 only if it answers.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: 'string' }, health: { type: 'boolean', default: false } },
  });
  if (values.config === undefined) throw new KmsError('BAD_INPUT', USAGE);
  const config = await readParentConfig(values.config);
  if (values.health) await reportHealth(config);
  else await serve(config, values.config);
}

async function reportHealth({ listen }: ParentConfig): Promise<void> {
  const health = await probe(listen);
  process.exitCode = health.ok ? 0 : 1;
  const words = health.ok ? `ok: ${health.phase}, ${health.connectedPeers} peers` : health.reason;
  (health.ok ? process.stdout : process.stderr).write(`${words}\n`);
}

async function serve(config: ParentConfig, configFile: string): Promise<void> {
  const { listen, link: linkConfig, configurationsFile, hosts, status } = config;
  const allowList = new AllowList(configurationsFile);
  const members = new MemberHosts(() => allowList.members());
  await members.refresh();
  const telemetry = new TelemetrySink(writeEnclaveLog);
  const services = new EnclaveServices(config);
  const link = openLink(linkConfig);
  const relay = await takeOver(() =>
    Relay.open({
      ...{ link, listen, log: stdoutLog, allowed: () => allowList.current() },
      isMember: (address) => members.has(address),
      onTelemetry: (stream) => telemetry.take(stream),
      onService: (service, stream) => services.answer(service, stream),
      resolve: (text) => hosts.get(text),
      addon: loadSpliceAddon(SPLICE_ADDON),
    }),
  );
  const server =
    status === undefined
      ? undefined
      : await takeOver(() =>
          StatusServer.open({
            listen: status,
            metrics: () => prometheusText(relay.counters, telemetry),
            health: () => probe(listen),
          }),
        );
  const connector =
    config.connector === undefined ? undefined : new ConnectorProcess({ configFile, log: stdoutLog });
  const stop = (): void => {
    stdoutLog('info', 'stopping');
    server?.close();
    void Promise.all([relay.drain(DRAIN_MS), connector?.stop()]).then(() => process.exit(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  // Whoever waits for this line may send a signal at once.
  stdoutLog('info', 'started', { pid: process.pid, address: `${listen.host}:${listen.port}` });
}

/** The parent before this one holds what is to be opened until it has been told to stop. */
async function takeOver<T>(open: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + TAKEOVER_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const isTaken = codeOf(error) === 'BUSY' || codeOf(error) === 'UNAVAILABLE';
      if (!isTaken || performance.now() > deadlineMs) throw error;
      await sleep(TAKEOVER_POLL_MS);
    }
  }
}

main().catch((error: unknown) => {
  stdoutLog('error', 'failed', { code: codeOf(error) });
  process.stderr.write(`${error instanceof Error ? error.message : 'failed'}\n`);
  process.exit(1);
});
