import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import type { NetworkKey } from '../../../client/sdk/network-key.ts';
import { cloudOwnerAttack } from '../../../infra/local/cloud-owner.ts';
import { fileNameOf, parseFileName } from '../../../infra/local/s3/object-version.ts';
import { encodeHeader } from '../../../infra/local/s3/record.ts';
import { partyId } from '../../../shared/ids.ts';
import { splitHalf } from '../../../shared/sealing/half.ts';
import { concat } from '../../../shared/wire/bytes.ts';
import { type BucketCopy, PATIENCE_MS, SealedNetwork } from './sealed-network.ts';

const TELLING_ENTRY = fileURLToPath(new URL('../../faults/telling-enclave.ts', import.meta.url));
const FOREIGN_ENTRY = fileURLToPath(new URL('../../faults/foreign-enclave.ts', import.meta.url));
const AMONG_PEERS_ENTRY = fileURLToPath(new URL('../../faults/foreign-among-peers.ts', import.meta.url));
const SECRET_BYTES = 32;

let network: SealedNetwork;
let key: NetworkKey;
/** The buckets before the second key was made. */
let old: BucketCopy;

beforeAll(async () => {
  network = await SealedNetwork.up({ entry: TELLING_ENTRY });
  key = await network.generate();
  await network.restart(2);
  await network.local.connected();
  await network.decrypts(key);
}, PATIENCE_MS);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
}, PATIENCE_MS);

/** Everything the enclaves drew, and what half shares come of it. */
async function secretsTold(): Promise<readonly Buffer[]> {
  const secrets: Buffer[] = [];
  for (const party of network.parties) {
    const told = await readFile(join(network.home, `told-${party}`));
    const draws = Array.from({ length: told.length / SECRET_BYTES }, (_, i) =>
      told.subarray(SECRET_BYTES * i, SECRET_BYTES * (i + 1)),
    );
    secrets.push(...draws);
    const holders = network.parties.filter((one) => one !== party).map((one) => partyId(one, 4));
    for (const [i, half] of draws.entries()) {
      const coefficient = draws[i + 1];
      if (coefficient === undefined) continue;
      // Whatever was a half and whatever was not: if a share of it lies anywhere, it is found.
      for (const { value } of splitHalf(half, holders, 2, () => Uint8Array.from(coefficient))) {
        secrets.push(Buffer.from(value));
      }
    }
  }
  return secrets;
}

async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
}

/** Secrets that stand in these bytes: as they are, in hex, in base64 at any offset. */
function found(secrets: readonly Buffer[], bytes: Buffer): number {
  const lower = Buffer.from(bytes.toString('latin1').toLowerCase(), 'latin1');
  const inBase64 = (secret: Buffer): boolean =>
    [0, 1, 2].some((shift) => {
      // What the characters at both ends are depends on the neighbours.
      const text = Buffer.concat([Buffer.alloc(shift), secret]).toString('base64');
      const middle = text.slice(shift === 0 ? 0 : 4, Math.floor((shift + SECRET_BYTES) / 3) * 4);
      return bytes.includes(middle) || bytes.includes(middle.replaceAll('+', '-').replaceAll('/', '_'));
    });
  return secrets.filter(
    (secret) => bytes.includes(secret) || lower.includes(secret.toString('hex')) || inBase64(secret),
  ).length;
}

async function kms(...argv: string[]): Promise<string> {
  let text = '';
  const out = { write: (part: string) => (text += part) };
  await runCli(argv, {
    ...{ stdout: out, stderr: out, nowMs: () => performance.now(), interrupts: new Interrupts() },
    env: { KMS_STATE: network.local.directory },
  });
  return text;
}

/** The newest version of an object of a node, in the stand-in's own form. */
async function newestVersion(party: number, key: string) {
  const objects = join(await network.local.bucketDirectory(party), 'objects');
  const { digest } = parseFileName(fileNameOf(`${network.local.networkId}/${party}/${key}`, 0, 'null'))!;
  const files = (await readdir(objects)).filter((name) => name.startsWith(digest)).sort();
  return { objects, file: files.at(-1)!, path: join(objects, files.at(-1)!) };
}

/** Puts the body of one object under the key of another, as a later version. */
async function swapIn(from: { party: number; key: string }, to: { party: number; key: string }) {
  const source = await readFile((await newestVersion(from.party, from.key)).path);
  const headerBytes = Number.parseInt(source.subarray(9, 17).toString('latin1'), 16);
  const header = JSON.parse(source.subarray(18, 18 + headerBytes).toString());
  const body = source.subarray(18 + headerBytes);
  const target = await newestVersion(to.party, to.key);
  const whole = `${network.local.networkId}/${to.party}/${to.key}`;
  const path = join(target.objects, fileNameOf(whole, 0xffff_ffff, 'ab'.repeat(16)));
  await writeFile(path, concat(encodeHeader({ ...header, key: whole }), body));
  return path;
}

async function newestKey(party: number, prefix: string): Promise<string> {
  const objects = join(await network.local.bucketDirectory(party), 'objects');
  const keys: string[] = [];
  for (const name of await readdir(objects)) {
    const bytes = await readFile(join(objects, name));
    const headerBytes = Number.parseInt(bytes.subarray(9, 17).toString('latin1'), 16);
    const { key, marker } = JSON.parse(bytes.subarray(18, 18 + headerBytes).toString());
    const own = key.slice(`${network.local.networkId}/${party}/`.length);
    if (!marker && own.startsWith(prefix)) keys.push(own);
  }
  return keys.sort().at(-1)!;
}

describe('what others hold of a sealed node', { timeout: 2 * PATIENCE_MS }, () => {
  it('secrets: none of them in any file, command line or environment', async () => {
    const secrets = await secretsTold();
    expect(secrets.length).toBeGreaterThan(100);
    const files = await filesBelow(network.local.directory);
    expect(files.length).toBeGreaterThan(100);
    const leaks: string[] = [];
    for (const file of files) {
      // What is being staged or collected may be gone by now.
      const bytes = await readFile(file).catch(() => undefined);
      if (bytes !== undefined && found(secrets, bytes) > 0) leaks.push(file);
    }
    const { nodes, cloud } = await network.state();
    const processes = [
      ...nodes.flatMap(({ processes }) => [processes.enclave, processes.parent]),
      ...[cloud.kms.process, cloud.s3.process],
    ];
    for (const id of processes) {
      for (const what of ['cmdline', 'environ']) {
        const path = `/proc/${id!.pid}/${what}`;
        const bytes = await readFile(path);
        expect(bytes.length).toBeGreaterThan(0);
        if (found(secrets, bytes) > 0) leaks.push(path);
      }
    }
    expect(leaks).toEqual([]);
    // That this search finds what is there.
    const [secret] = secrets;
    for (const form of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      const shifted = Buffer.concat([Buffer.from('x'), secret!, Buffer.from('yz')]);
      expect(found(secrets, Buffer.from(`a ${shifted.toString(form)} b`, 'latin1'))).toBeGreaterThan(0);
    }
  });

  it('cloud owner: with t colluding operators opens tier 1 and no state; with t + 1 the state', async () => {
    expect(await cloudOwnerAttack(network.local, 1, [])).toEqual({ tierOne: true, tierTwo: false });
    for (const colluder of [2, 3, 4]) {
      expect(await cloudOwnerAttack(network.local, 1, [colluder])).toEqual({ tierOne: true, tierTwo: false });
    }
    expect(await cloudOwnerAttack(network.local, 1, [2, 4])).toEqual({ tierOne: true, tierTwo: true });
  });

  it('rollback: a node whose bucket is turned back recovers only, says why, and is well again with its own', async () => {
    await network.kill(...network.parties);
    old = await network.copyBuckets(...network.parties);
    await network.start(...network.parties);
    await network.local.connected();
    const second = await network.generate();
    await network.kill(3);
    const own = await network.copyBuckets(3);
    await network.putBack({ ...old, parties: [3] });
    await network.start(3);
    const { reason } = await network.shows(3, 'recover');
    expect(reason).toMatch(
      /version \d+ of the tier-2 state is not in the bucket|other nodes hold a later state/,
    );
    expect(await kms('net', 'status')).toContain(`node 3 does not go on by itself: ${reason}`);
    await network.local.connected([1, 2, 4]);
    expect(await network.decrypts(second)).toEqual([3]);
    await network.kill(3);
    await network.putBack(own);
    await network.start(3);
    await network.local.connected();
    await network.decryptsBy(second, 3);
  });

  it('swapped: what belongs to another node opens nothing', async () => {
    const manifest = await newestKey(1, 'tier-2/manifests/');
    const cases = [
      { to: 'tier-1/headers/0001', phase: 'unjoined', says: /"code":"STORE_FAILED"/ },
      { to: await newestKey(4, 'tier-1/manifests/'), phase: 'unjoined', says: /"code":"STORE_FAILED"/ },
      { to: await newestKey(4, 'tier-2/manifests/'), phase: 'recover', says: /"unsealing-failed"/ },
    ];
    for (const { to, phase, says } of cases) {
      await network.kill(4);
      const from =
        to === 'tier-1/headers/0001'
          ? to
          : to.startsWith('tier-1')
            ? await newestKey(1, 'tier-1/m')
            : manifest;
      let swapped = '';
      await network.changeBuckets(async () => {
        swapped = await swapIn({ party: 1, key: from }, { party: 4, key: to });
      });
      const before = (await network.log(4)).length;
      await network.start(4);
      await network.shows(4, phase);
      await expect
        .poll(async () => (await network.log(4)).slice(before), { timeout: PATIENCE_MS, interval: 200 })
        .toMatch(says);
      await network.kill(4);
      await network.changeBuckets(() => rm(swapped));
    }
    await network.start(4);
    await network.local.connected();
    await network.decrypts(key);
  });

  it('foreign image: KMS does not open to it, though it looks at no policy; nor do the other nodes', async () => {
    const stranger = 4;
    await network.local.stopNode(stranger, { role: 'enclave' });
    let before = (await network.log(stranger)).length;
    const since = async (): Promise<string> => (await network.log(stranger)).slice(before);
    await network.local.startNode(stranger, { role: 'enclave', entry: FOREIGN_ENTRY });
    await expect
      .poll(since, { timeout: PATIENCE_MS, interval: 200 })
      .toMatch(/"not-introduced","code":"KMS_REFUSED"/);
    expect((await network.shows(stranger, 'unjoined')).connectedPeers).toEqual([]);

    await network.local.stopNode(stranger, { role: 'enclave' });
    before = (await network.log(stranger)).length;
    await network.local.startNode(stranger, { role: 'enclave', entry: AMONG_PEERS_ENTRY });
    await network.shows(stranger, 'boot');
    for (const party of [1, 2, 3]) {
      await expect
        .poll(since, { timeout: PATIENCE_MS, interval: 200 })
        .toContain(`"event":"recall-failed","party":${party}`);
    }
    await network.shows(stranger, 'boot');
    expect(await since()).not.toContain('"step":"unseal"');

    await network.local.stopNode(stranger, { role: 'enclave' });
    await network.local.startNode(stranger, { role: 'enclave', entry: TELLING_ENTRY });
    await network.local.connected();
    await network.decryptsBy(key, stranger);
  });
});
