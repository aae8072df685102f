import { setTimeout as sleep } from 'node:timers/promises';
import { table } from '../../client/cli/table.ts';
import type { LocalNetwork } from '../local/network.ts';
import { MACHINE_PARTY, upLabNetwork } from './network.ts';

const STATE = '.kms-lab';
const EVERY_MS = 30_000;
const KMS = `KMS_STATE=${STATE} node client/cli/main.ts`;

/** Runs a lab network until SIGINT or SIGTERM. */
async function main(): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort());
  let network: LocalNetwork | undefined;
  try {
    network = await upLabNetwork({
      ...{ stateDirectory: STATE, n: 4, t: 1, signal: interrupted.signal },
      onProgress: ({ phase, done, total }) =>
        process.stderr.write(`\r\x1b[K${phase}${total > 0 ? ` ${done} of ${total}` : ''}`),
    });
    process.stderr.write('\r\x1b[K');
    console.log(
      `network ${network.networkId}; node ${MACHINE_PARTY} is the image, its console: ${STATE}/logs/1-enclave.log`,
    );
    console.log(`in another terminal: ${KMS} keygen --preset test-4096\nCtrl-C ends it.`);
    while (!interrupted.signal.aborted) {
      await sleep(EVERY_MS, undefined, { signal: interrupted.signal }).catch(() => {});
      if (!interrupted.signal.aborted) console.log(await statusText(network));
    }
  } finally {
    await network?.down({ erase: true });
  }
}

async function statusText(network: LocalNetwork): Promise<string> {
  const rows = (await network.status()).map(({ party, card }) => [
    `${party}`,
    card?.phase ?? 'does not answer',
    `${card?.connectedPeers.length ?? 0} peers`,
  ]);
  return table(rows).join('\n');
}

await main();
