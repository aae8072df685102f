import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalNetwork } from '../../infra/local/network.ts';
import { StolenBucket } from '../../infra/local/stolen-bucket.ts';
import { DirectClient } from '../direct/client.ts';
import { type Job, median, wallSeconds } from './job.ts';

const TIMED_ENTRY = fileURLToPath(new URL('timed-enclave.ts', import.meta.url));
const PARTY = 2;
/** The first key warms the nodes' code up. */
const WARM_KEYS = 2;
const SECOND_MS = 1_000;
/** That node's small ones; timed-enclave.ts makes as many. */
const CHANGES = 50;
const CHANGES_LIMIT_S = 60;
const POLL_MS = 100;

/** Sealed storage of real nodes at the stand-ins for KMS and S3, wall clock. */
export function sealingJobs(): readonly Job[] {
  return [
    {
      figures: [
        {
          ...{ name: 'unseal-ready', unit: 's', target: 1.5 },
          about: 'a node that starts again with three keys: from tier 1 open to ready, by its log',
        },
        {
          ...{ name: 'state-change', unit: 'ms', target: 50 },
          about: 'a small change of one node: from the write to S3 until n-1-t others hold it',
        },
        {
          ...{ name: 'state-change-in-keygen', unit: 'ms' },
          about: 'the same within key generation, while all four nodes compute on the cores of this machine',
        },
        {
          ...{ name: 'stored-bytes-per-key', unit: 'bytes', target: 2e6 },
          about: 'what one bfv-8192 key adds to a bucket: 7 public ring elements, its manifest entries',
        },
      ],
      ...{ warmUps: 0, runs: 3, seconds: 45 },
      prepare: () => measure,
    },
  ];
}

async function measure(): Promise<readonly number[]> {
  const home = await mkdtemp(join(tmpdir(), 'kms-bench-'));
  const network = await LocalNetwork.up({
    stateDirectory: join(home, 'state'),
    n: 4,
    t: 1,
    entry: TIMED_ENTRY,
  });
  try {
    using client = await DirectClient.connect({
      genesis: new Uint8Array(await readFile(network.genesisFile)),
      configurations: new Uint8Array(await readFile(network.configurationsFile)),
    });
    const before = await storedBytes(network);
    await client.generateKey({ preset: 'bfv-8192' });
    const stored = (await storedBytes(network)) - before;
    const timed = join(home, `timed-${PARTY}`);
    const earlier = (await changesIn(timed)).length;
    for (let i = 0; i < WARM_KEYS; i++) await client.generateKey({ preset: 'bfv-8192' });
    const inKeygen = (await changesIn(timed)).slice(earlier);
    const go = join(home, `change-${PARTY}`);
    await writeFile(go, '');
    const small = await changesFrom(timed, earlier + inKeygen.length);
    // What starts again only unseals.
    await rm(go);
    await network.stopNode(PARTY, { signal: 'SIGKILL' });
    await network.startNode(PARTY);
    await network.connected();
    return [await unsealSeconds(network), median(small), median(inKeygen), stored];
  } finally {
    await network.down({ erase: true });
    await rm(home, { recursive: true, force: true });
  }
}

/** CHANGES of them, after those that came before. */
async function changesFrom(file: string, earlier: number): Promise<readonly number[]> {
  const startedS = wallSeconds();
  for (;;) {
    const changes = (await changesIn(file)).slice(earlier);
    if (changes.length >= CHANGES) return changes;
    if (wallSeconds() - startedS > CHANGES_LIMIT_S) throw new Error('the node does not make its changes');
    await sleep(POLL_MS);
  }
}

async function changesIn(file: string): Promise<readonly number[]> {
  return (await readFile(file, 'utf8')).trimEnd().split('\n').map(Number);
}

/** Of the last start. */
async function unsealSeconds(network: LocalNetwork): Promise<number> {
  const log = await readFile(join(network.directory, 'logs', `${PARTY}-enclave.log`), 'utf8');
  const at = (phase: string): number => {
    const line = log.split('\n').findLast((one) => one.includes(`"event":"phase","step":"${phase}"`));
    const { time }: { readonly time: string } = JSON.parse(line ?? '{}');
    return Date.parse(time);
  };
  return (at('ready') - at('boot')) / SECOND_MS;
}

/** Of the newest versions: manifests of both tiers, and every object that is not garbage. */
async function storedBytes(network: LocalNetwork): Promise<number> {
  const directory = await network.bucketDirectory(PARTY);
  const bucket = await StolenBucket.read(directory, `${network.networkId}/${PARTY}/`);
  const sizeOf = async (key: string | undefined): Promise<number> =>
    key === undefined ? 0 : ((await bucket.get(key))?.length ?? 0);
  const manifests = ['tier-1', 'tier-2'].map(async (tier) =>
    sizeOf((await bucket.list(`${tier}/manifests/`)).at(-1)),
  );
  const objects = (await bucket.list('tier-2/objects/')).map(sizeOf);
  return (await Promise.all([...manifests, ...objects])).reduce((sum, size) => sum + size, 0);
}
