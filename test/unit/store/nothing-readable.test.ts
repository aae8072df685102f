import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemRng } from '../../../enclave/primitives.ts';
import { DirectoryStore } from '../../../enclave/store/directory-store.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../../shared/protocol/keygen/keygen.ts';
import { bytesOf } from '../../../shared/wire/bytes.ts';
import { keygenFactory } from '../../simulator/committee-keys.ts';
import { secretShares } from '../../simulator/key-check.ts';
import { Simulation } from '../../simulator/simulation.ts';

/** Every 16-byte window at a multiple of 16 of a secret, as hex: what a thief would look for. */
function windows(secret: Uint8Array): string[] {
  const buffer = Buffer.from(secret);
  return Array.from({ length: Math.floor(buffer.length / 16) }, (_, i) =>
    buffer.toString('hex', 16 * i, 16 * i + 16),
  );
}

async function filesBelow(directory: string): Promise<Buffer[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((file) => readFile(join(file.parentPath, file.name))));
}

/** Windows of the secrets that stand in any file, as bytes, hex or base64. */
async function found(directory: string, secrets: readonly Uint8Array[]): Promise<string[]> {
  const texts = (await filesBelow(directory)).flatMap((file) => {
    const text = file.toString('latin1');
    return [file.toString('hex'), text, Buffer.from(text, 'base64').toString('hex')];
  });
  return secrets
    .flatMap((secret) => windows(secret.subarray(128)))
    .filter((window) => !/^(00)+$/.test(window))
    .filter((window) => texts.some((text) => text.includes(window)));
}

test('store: after a key generation no seed, contribution or share stands on the disk in any form', async () => {
  const kernel = await Kernel.load();
  const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'disk', factory: keygenFactory(kernel) });
  const directory = await mkdtemp(join(tmpdir(), 'kms-disk-'));
  try {
    sim.start();
    const store = await DirectoryStore.open(directory, systemRng(32), systemRng);
    const secrets: Uint8Array[] = [];
    // Everything a party ever makes durable goes through the store, as in a node; seeds and archives are secret.
    for (const party of sim.committee.parties) {
      const disk = sim.disk(party);
      const write = disk.set.bind(disk);
      disk.set = (name, record) => {
        if (name.endsWith('/seeds') || name.endsWith('/archive')) secrets.push(record.slice());
        return write(name, record);
      };
    }
    sim.run(() => sim.committee.parties.every((party) => sim.machine(party)?.finished !== undefined));
    const shares = secretShares(kernel, sim, sim.committee.parties);
    const [first] = sim.committee.parties;
    for (const [name, record] of sim.disk(first!)) await store.put(name, record);
    const wanted = [...secrets, ...[...shares.values()].map((share) => bytesOf(share).subarray(0, 4096))];
    expect(wanted.length).toBeGreaterThan(8);
    expect(await found(directory, wanted)).toEqual([]);
    // The search itself works: one secret written as it is, in binary or as text, is found.
    for (const encoding of ['latin1', 'hex', 'base64'] as const) {
      const file = join(directory, `plain-${encoding}`);
      await writeFile(
        file,
        Buffer.from(wanted[0]!).toString(encoding),
        encoding === 'latin1' ? 'latin1' : 'utf8',
      );
      expect((await found(directory, wanted)).length, encoding).toBeGreaterThan(0);
      await rm(file);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
