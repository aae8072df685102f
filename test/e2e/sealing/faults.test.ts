import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readNetwork } from '../../../infra/local/founding.ts';
import { stopProcess } from '../../../infra/local/process.ts';
import type { Fate } from '../../../infra/local/s3/faults.ts';
import { S3Error } from '../../../infra/local/s3/s3-error.ts';
import { parseKeyArn } from '../../../shared/sealing/key-arn.ts';
import { FaultyCloud, SessionCredentials } from './faulty-cloud.ts';
import { PATIENCE_MS, SealedNetwork } from './sealed-network.ts';

/** One network whose cloud services and processes fail it, one after the other. */
const BORROWER = 4;
const DENIED_MS = 3_000;

let network: SealedNetwork;
let cloud: FaultyCloud | undefined;
const first = new SessionCredentials('FIRST');
const second = new SessionCredentials('SECOND');

beforeAll(async () => {
  network = await SealedNetwork.up();
  cloud = await FaultyCloud.take(network, BORROWER, [first, second]);
}, PATIENCE_MS);

afterAll(async () => {
  await cloud?.close();
  await network?.[Symbol.asyncDispose]();
}, PATIENCE_MS);

async function kmsKeyOf(party: number): Promise<string> {
  const { members } = (await readNetwork(network.local.directory)).newest.signed.configuration;
  return parseKeyArn(members[party - 1]!.storage.kmsKey).keyId;
}

async function setPolicy(party: number, policy: string): Promise<string> {
  const id = await kmsKeyOf(party);
  const before = cloud!.keys.get(id)!.policy;
  await cloud!.keys.change(id, (key) => ({ ...key, policy }));
  return before;
}

/** As before, but for anybody of the account, attested or not. */
function permissive(policy: string): string {
  const { Statement, ...rest } = JSON.parse(policy);
  const account = JSON.stringify(Statement).match(/arn:aws:iam::(\d{12}):/)![1];
  const anybody = {
    ...{ Sid: 'Convenience', Effect: 'Allow', Action: 'kms:*', Resource: '*' },
    Principal: { AWS: `arn:aws:iam::${account}:root` },
  };
  return JSON.stringify({ ...rest, Statement: [...Statement, anybody] });
}

describe('a cloud that fails its nodes', { timeout: 2 * PATIENCE_MS }, () => {
  it('credentials: a session that ends is replaced by what the parent has then, without a restart', async () => {
    const users = new Set<string>();
    cloud!.s3Faults = {
      before: ({ accessKeyId }) => {
        users.add(accessKeyId);
        return 'serve';
      },
    };
    const file = network.local.cloud.credentialsFile(BORROWER);
    const lasting = await readFile(file, 'utf8');
    await writeFile(file, first.file);
    await network.restart(BORROWER);
    await network.local.connected();
    expect(users).toContain(first.accessKeyId);
    const process = (await network.state()).nodes[BORROWER - 1]!.processes.enclave;
    await writeFile(file, second.file);
    first.end();
    const key = await network.generate();
    expect(users).toContain(second.accessKeyId);
    await network.decryptsBy(key, BORROWER);
    expect((await network.state()).nodes[BORROWER - 1]!.processes.enclave).toEqual(process);
    await writeFile(file, lasting);
    second.end();
    await network.generate();
    cloud!.s3Faults = {};
  });

  it('policy: one that opens the key to others ends sealing under it, and opening with it; the others go on', async () => {
    const good = await setPolicy(3, permissive(cloud!.keys.get(await kmsKeyOf(3))!.policy));
    const key = await network.generate();
    await expect
      .poll(() => network.log(3), { timeout: PATIENCE_MS, interval: 200 })
      .toMatch(/"event":"key-generation-failed","code":"KMS_POLICY"/);
    await network.decrypts(key);
    await network.restart(3);
    await expect
      .poll(() => network.log(3), { timeout: PATIENCE_MS, interval: 200 })
      .toMatch(/"event":"not-introduced","code":"KMS_POLICY"/);
    expect((await network.shows(3, 'unjoined')).connectedPeers).toEqual([]);
    await setPolicy(3, good);
    await network.local.connected();
    await network.decryptsBy(key, 3);
  });

  it('KMS: throttled, failing, silent and slow for a while, a key is made all the same', async () => {
    let asked = 0;
    cloud!.kmsFault = () => {
      asked += 1;
      if (asked <= 6) return { kind: 'error', name: 'ThrottlingException', status: 400 };
      if (asked <= 10) return { kind: 'error', name: 'KMSInternalException', status: 500 };
      if (asked <= 12) return { kind: 'hang-up' };
      return { kind: 'slow', ms: 300 };
    };
    const key = await network.generate();
    await network.restart(2);
    await network.local.connected();
    expect(asked).toBeGreaterThan(16);
    cloud!.kmsFault = () => undefined;
    await network.decryptsBy(key, 2);
  });

  it('S3: denying one, full for all, slow, in the middle of a key generation: it waits, and ends', async () => {
    const startedMs = performance.now();
    let refused = 0;
    cloud!.s3Faults = {
      before: async ({ operation, account }): Promise<Fate> => {
        const ms = performance.now() - startedMs;
        if (operation !== 'PutObject') return 'serve';
        if (ms < DENIED_MS && account.endsWith('2')) {
          refused += 1;
          throw new S3Error('AccessDenied', 'denied');
        }
        if (ms > DENIED_MS && ms < 2 * DENIED_MS) {
          refused += 1;
          throw new S3Error('ServiceUnavailable', 'full');
        }
        await sleep(50);
        return 'serve';
      },
      after: (call) => (call.operation === 'PutObject' && refused++ % 7 === 0 ? 'cut' : 'serve'),
    };
    const key = await network.generate();
    expect(refused).toBeGreaterThan(0);
    cloud!.s3Faults = {};
    await network.local.connected();
    await network.decryptsBy(key, 2);
  });

  it('kill -9: of both stand-ins in the middle of a key generation', async () => {
    await cloud?.close();
    cloud = undefined;
    await network.local.startCloud();
    const generating = network.generate();
    generating.catch(() => {});
    await sleep(300);
    const { kms, s3 } = (await network.state()).cloud;
    await Promise.all([kms, s3].map(({ process }) => stopProcess(process!, 'SIGKILL')));
    await sleep(1_000);
    await network.local.startCloud();
    await network.decrypts(await generating);
  });

  it('kill -9: of everything in the middle of a key generation, which ends afterwards or is repeated', async () => {
    const generating = network.generate().catch(() => undefined);
    await sleep(600);
    const { kms, s3 } = (await network.state()).cloud;
    await Promise.all([
      network.kill(...network.parties),
      ...[kms, s3].map(({ process }) => stopProcess(process!, 'SIGKILL')),
    ]);
    await network.local.startCloud();
    await network.start(...network.parties);
    await network.local.connected();
    const key = (await generating) ?? (await network.generate());
    await network.decryptsByAll(key);
  });

  it.each(['boot', 'unseal', 'catch-up'])(
    'kill -9: of a node in phase %s; the next start is a whole one',
    async (phase) => {
      const count = async (): Promise<number> =>
        (await network.log(2)).split(`"event":"phase","step":"${phase}"`).length;
      const before = await count();
      await network.restart(2);
      while ((await count()) === before) await sleep(5);
      await network.restart(2);
      await network.local.connected();
    },
  );
});
