import { appendFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openAwsCloud } from '../../enclave/aws/aws-cloud.ts';
import { boot } from '../../enclave/boot.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { StateStore } from '../../enclave/sealing/state-store.ts';
import { ENDPOINT_ROOTS } from '../../shared/attestation/roots/mock.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { directRoutes } from '../direct/routes.ts';
import { ownLink } from '../faults/foreign-image.ts';

/**
 * A mock enclave that takes the time of its changes of state: from the moment that the manifest is sent to S3 until enough other
 * nodes hold the new state. One line each, in milliseconds, in `timed-<party>` beside the network's state directory. Once a file
 * `change-<party>` is there it makes CHANGES small ones, one after the other, each as large as what it says about a command.
 */
const CHANGES = 50;
const CHANGE_BYTES = 400;
const PAUSE_MS = 50;
const MANIFEST = /^tier-2\/manifests\/(\d+)$/;
const { values } = parseArgs({ options: { config: { type: 'string' } } });
const home = dirname(values.config ?? '');
const party = home.slice(home.lastIndexOf('/') + 1);
const file = join(home, '../../..', `timed-${party}`);
const startedMs = new Map<number, number>();
const opened = StateStore.open;
StateStore.open = async (options, known) => {
  const acknowledge: typeof options.acknowledge = async (state) => {
    await options.acknowledge?.(state);
    const beganMs = startedMs.get(state.version);
    if (beganMs !== undefined) appendFileSync(file, `${performance.now() - beganMs}\n`);
  };
  const store = await opened.call(StateStore, { ...options, acknowledge }, known);
  void makeChanges(store);
  return store;
};
const link = await ownLink();
const { nsm } = openMockPlatform();

await boot({
  ...{ nsm, furtherRoutes: directRoutes },
  async openCloud(place) {
    const { kmsKey, objects, dataKeys } = await openAwsCloud({ link, nsm, roots: ENDPOINT_ROOTS }, place);
    return {
      ...{ kmsKey, dataKeys },
      objects: {
        get: (key, maxBytes) => objects.get(key, maxBytes),
        list: (prefix) => objects.list(prefix),
        delete: (...keys) => objects.delete(...keys),
        create(key, bytes) {
          const version = MANIFEST.exec(key)?.[1];
          if (version !== undefined) startedMs.set(Number(version), performance.now());
          return objects.create(key, bytes);
        },
      },
    };
  },
});

async function makeChanges(store: StateStore): Promise<void> {
  while (!existsSync(join(home, '../../..', `change-${party}`))) await sleep(PAUSE_MS);
  for (let i = 0; i < CHANGES; i++) {
    await store.put(`commands/${toHex(systemRng(32))}`, systemRng(CHANGE_BYTES));
    await sleep(PAUSE_MS);
  }
}
