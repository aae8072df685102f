import { expect, test } from 'vitest';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { committee } from '../../shared/committee.ts';
import { keyPrimes, presetByName } from '../../shared/fhe/presets.ts';
import { type Digest, digest, epochId, keyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import { inverse } from '../../shared/math/modular.ts';
import type * as ringModule from '../../shared/math/ring.ts';
import type * as partialModule from '../../shared/protocol/decryption/partial.ts';
import type * as keySharesModule from '../../shared/protocol/keygen/key-shares.ts';
import type * as seedsModule from '../../shared/protocol/prss/seeds.ts';
import { setsHeldBy } from '../../shared/protocol/prss/seeds.ts';
import type * as sharesModule from '../../shared/protocol/prss/shares.ts';
import { seededRng } from '../simulator/random.ts';
import { attackBoth } from './mutant.ts';

const LABELS = 'shared/protocol/prss/labels.ts';
const of = committee(4, 1);
const preset = presetByName('test-4096');
const owner = { key: keyId('ab'.repeat(32)), epoch: epochId(0) };
const transcript = digest('cd'.repeat(32));
const victim = partyId(1);

type Load = <Module>(file: string) => Promise<Module>;

/** One honest party's view, made with the code under attack. */
async function party(load: Load) {
  const { Kernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { Ring } = await load<typeof ringModule>('shared/math/ring.ts');
  const { KeySeeds } = await load<typeof seedsModule>('shared/protocol/prss/seeds.ts');
  const { PrssShares } = await load<typeof sharesModule>('shared/protocol/prss/shares.ts');
  const kernel = await Kernel.load();
  const seeds = seededRng('seeds')(32 * setsHeldBy(of, victim).length);
  const prss = new PrssShares(nodePrimitives, of, victim, owner, new KeySeeds(of, victim, seeds));
  const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
  return { kernel, prss, ring };
}

async function keyShares(load: Load, of: Digest) {
  const { KeyShares } = await load<typeof keySharesModule>('shared/protocol/keygen/key-shares.ts');
  const { prss, ring } = await party(load);
  return { ring, prss, shares: new KeyShares(prss, { ring, transcript: of, preset: preset.name }) };
}

test('labels: two ciphertexts under one flood would give the share of the key', async () => {
  const outcome = await attackBoth(
    'flood-reuse',
    [{ file: LABELS, find: 'mask.switchVersion, fromHex(mask.ciphertext)]', replace: 'mask.switchVersion]' }],
    async (load) => {
      const { PartialDecryptor } = await load<typeof partialModule>('shared/protocol/decryption/partial.ts');
      const { kernel, prss } = await party(load);
      const decryptor = new PartialDecryptor(kernel, of, preset, prss, transcript);
      const { ring } = decryptor;
      const one = ring.zero();
      for (const [j] of ring.primes.entries()) one[j * ring.degree] = 1n;
      const first = decryptor.vector({ c1: ring.zero(), ciphertext: digest('01'.repeat(32)) });
      const second = decryptor.vector({ c1: one, ciphertext: digest('02'.repeat(32)) });
      const share = prss.small(ring, { role: 's', transcript, preset: preset.name });
      return ring.sub(second, first).every((word, i) => word === share[i]);
    },
  );
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
});

test('labels: h0 + 1 fed to one party would give its share of the key', async () => {
  const outcome = await attackBoth(
    'h0-plus-one',
    [{ file: LABELS, find: ', mask.digit, fromHex(mask.h0), fromHex(mask.h1)]', replace: ', mask.digit]' }],
    async (load) => {
      const { ring, prss, shares } = await keyShares(load, transcript);
      const h1 = ring.uniform(seededRng('h1')(24 * ring.length));
      const h0 = ring.uniform(seededRng('h0')(24 * ring.length));
      const one = ring.zero().fill(1n);
      const honest = shares.relinearisationB(0, { h0, h1 });
      const fed = shares.relinearisationB(0, { h0: ring.add(h0, one), h1 });
      const share = prss.smallNtt(ring, { role: 's', transcript, preset: preset.name });
      return ring.sub(fed, honest).every((word, i) => word === share[i]);
    },
  );
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
});

test('labels: a second attempt on the same seeds under another transcript would give the key', async () => {
  const outcome = await attackBoth(
    'second-attempt',
    [
      {
        file: LABELS,
        find: 'const common: Field[] = [fromHex(mask.transcript), mask.preset];',
        replace: 'const common: Field[] = [mask.preset];',
      },
    ],
    async (load) => {
      const { publicElement } = await load<typeof import('../../shared/protocol/keygen/elements.ts')>(
        'shared/protocol/keygen/elements.ts',
      );
      const again = digest('ef'.repeat(32));
      const first = await keyShares(load, transcript);
      const second = await keyShares(load, again);
      const { ring, prss } = first;
      const a = (certified: Digest) =>
        publicElement(nodePrimitives, ring, {
          ...owner,
          transcript: certified,
          preset: preset.name,
          result: 'public-key',
          digit: 0,
          element: 1,
          source: owner.key,
          target: owner.key,
        });
      const difference = ring.sub(
        first.shares.firstRound({ kind: 'public-key' }),
        second.shares.firstRound({ kind: 'public-key' }),
      );
      // b1 - b2 = (a2 - a1) * s when the error is the same.
      const factor = ring.sub(a(again), a(transcript));
      const share = prss.smallNtt(ring, { role: 's', transcript, preset: preset.name });
      const prime = ring.primes[0] ?? 1n;
      return Array.from({ length: 64 }, (_, i) => i).every(
        (i) => ((difference[i] ?? 0n) * inverse(factor[i] ?? 1n, prime)) % prime === share[i],
      );
    },
  );
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
});

test('labels: one a for two results would open w_j * s', async () => {
  const outcome = await attackBoth(
    'shared-a',
    [
      {
        file: 'shared/protocol/keygen/elements.ts',
        find: '    of.result,\n    of.digit,\n    of.element,\n',
        replace: '',
      },
    ],
    async (load) => {
      const { ring, prss, shares } = await keyShares(load, transcript);
      const element = 3;
      const rotated = shares.firstRound({ kind: 'galois', element, digit: 0 });
      const plain = shares.firstRound({ kind: 'public-key' });
      // With one a the difference is P * sigma_g(s) at prime 0, up to errors that the other primes show alone.
      const difference = ring.sub(rotated, plain);
      const mask = { transcript, preset: preset.name } as const;
      const e = prss.smallNtt(ring, { role: 'e', ...mask });
      const eGalois = prss.smallNtt(ring, {
        role: 'galois-e',
        ...mask,
        digit: 0,
        element,
        source: owner.key,
        target: owner.key,
      });
      const errors = ring.sub(e, eGalois);
      const tail = ring.degree;
      return difference.subarray(tail).every((word, i) => word === errors[tail + i]);
    },
  );
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
});
