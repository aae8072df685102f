import { expect, test } from 'vitest';
import { systemRng } from '../../../enclave/primitives.ts';
import { JointDataKeys } from '../../../enclave/sealing/joint-data-keys.ts';
import { Scopes } from '../../../enclave/sealing/scopes.ts';
import { StateStore } from '../../../enclave/sealing/state-store.ts';
import { createTierOne } from '../../../enclave/sealing/tier-one.ts';
import { NO_STATE } from '../../../enclave/store/versioned-store.ts';
import { digest, epochId, partyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../../shared/protocol/keygen/keygen.ts';
import type { HalfShare } from '../../../shared/sealing/half.ts';
import { NODE_SCOPE } from '../../../shared/sealing/scope.ts';
import { bytesOf } from '../../../shared/wire/bytes.ts';
import { keygenFactory } from '../../simulator/committee-keys.ts';
import { secretShares } from '../../simulator/key-check.ts';
import { MemoryCloud } from '../../simulator/memory-cloud.ts';
import { scopesOptions } from '../../simulator/sealing.ts';
import { Simulation } from '../../simulator/simulation.ts';

const networkId = digest('11'.repeat(32));
const party = partyId(1);

/** Every 16-byte window at a multiple of 16 of a secret, as hex: what a thief would look for. */
function windows(secret: Uint8Array): string[] {
  const buffer = Buffer.from(secret);
  return Array.from({ length: Math.floor(buffer.length / 16) }, (_, i) =>
    buffer.toString('hex', 16 * i, 16 * i + 16),
  );
}

/** Windows of the secrets that stand in any object or its name, as bytes, hex or base64. */
function found(objects: ReadonlyMap<string, Uint8Array>, secrets: readonly Uint8Array[]): string[] {
  const texts = [...objects].flatMap(([key, bytes]) => {
    const object = Buffer.from(bytes);
    const text = object.toString('latin1');
    return [key, object.toString('hex'), text, Buffer.from(text, 'base64').toString('hex')];
  });
  return secrets
    .flatMap(windows)
    .filter((window) => !/^(00)+$/.test(window))
    .filter((window) => texts.some((text) => text.includes(window)));
}

test('store: after a key generation no seed, contribution or share stands in the bucket in any form', async () => {
  const kernel = await Kernel.load();
  const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'disk', factory: keygenFactory(kernel) });
  const cloud = new MemoryCloud();
  const halves: HalfShare[] = [];
  const scopes = new Scopes(
    scopesOptions({
      ...{ networkId, party, dataKeys: new JointDataKeys(cloud) },
      deal: async (_scope, shares) => void halves.push(...shares),
    }),
  );
  await scopes.ensure(NODE_SCOPE);
  const place = { networkId, party, rng: systemRng };
  const tierOne = await createTierOne({ ...place, cloud, hashes: scopesOptions({}).hashes });
  const { objects } = cloud;
  const store = await StateStore.open(
    { ...place, objects, epoch: epochId(0), scopes, acknowledge: async () => {} },
    NO_STATE,
  );
  const secrets: Uint8Array[] = [];
  sim.start();
  // Everything a party ever makes durable goes through the store, as in a node; seeds and archives are secret.
  for (const each of sim.committee.parties) {
    const disk = sim.disk(each);
    const write = disk.set.bind(disk);
    disk.set = (name, record) => {
      if (name.endsWith('/seeds') || name.endsWith('/archive')) secrets.push(record.slice(128));
      return write(name, record);
    };
  }
  sim.run(() => sim.committee.parties.every((each) => sim.machine(each)?.finished !== undefined));
  const shares = secretShares(kernel, sim, sim.committee.parties);
  const [first] = sim.committee.parties;
  for (const [name, record] of sim.disk(first!)) await store.put(name, record);
  const seed = systemRng(32);
  await store.put('node/identity', seed);
  // What is kept for others stands in tier 1.
  for (const [i, { value }] of halves.entries()) await tierOne.put(`memory/2/halves/x${i}`, value);
  const wanted = [
    ...secrets,
    ...[...shares.values()].map((share) => bytesOf(share).subarray(0, 4096)),
    ...halves.map(({ value }) => value),
    ...[seed, scopes.keyOf('node')],
  ];
  expect(halves.length).toBe(6);
  expect(wanted.length).toBeGreaterThan(16);
  expect(found(objects.objects, wanted)).toEqual([]);
  // The search itself works: one secret written as it is, in binary or as text, is found.
  for (const encoding of ['latin1', 'hex', 'base64'] as const) {
    const text = Buffer.from(wanted[0]!).toString(encoding);
    const plain = Buffer.from(text, encoding === 'latin1' ? 'latin1' : 'utf8');
    expect(found(new Map([['plain', plain]]), wanted).length, encoding).toBeGreaterThan(0);
  }
});
