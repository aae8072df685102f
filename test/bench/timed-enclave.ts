import { appendFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { openAwsCloud } from '../../enclave/aws/aws-cloud.ts';
import { boot } from '../../enclave/boot.ts';
import { openMockPlatform } from '../../enclave/platform/mock.ts';
import { ENDPOINT_ROOTS } from '../../shared/attestation/roots/mock.ts';
import type { Anchor } from '../../shared/sealing/anchor.ts';
import { directRoutes } from '../direct/routes.ts';
import { ownLink } from '../faults/foreign-image.ts';

/**
 * A mock enclave that takes the time of its changes of state: from the moment that the manifest is sent to S3 until enough other
 * nodes hold the new state. One line each, in milliseconds, in `timed-<party>` beside the network's state directory.
 */
const MANIFEST = /^tier-2\/manifests\/(\d+)$/;
const { values } = parseArgs({ options: { config: { type: 'string' } } });
const home = dirname(values.config ?? '');
const party = home.slice(home.lastIndexOf('/') + 1);
const file = join(home, '../../..', `timed-${party}`);
const startedMs = new Map<number, number>();
const link = await ownLink();
const { nsm, openAnchor } = openMockPlatform();
const real = openAnchor(join(home, '../../anchors'));

const anchor: Anchor = {
  highest: async (of) => (await real?.highest(of)) ?? 0,
  async advance(record) {
    const beganMs = startedMs.get(record.version);
    if (beganMs !== undefined) appendFileSync(file, `${performance.now() - beganMs}\n`);
    await real?.advance(record);
  },
};

await boot({
  ...{ nsm, anchor, furtherRoutes: directRoutes },
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
