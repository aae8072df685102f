import { keyPrimes, presetByName } from '../../shared/fhe/presets.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { type Residues, Ring } from '../../shared/math/ring.ts';
import { RobustDecoder } from '../../shared/math/robust-decoder.ts';
import { isCertified, keyScope } from '../../shared/protocol/certificate.ts';
import { PublicElements } from '../../shared/protocol/keygen/key-shares.ts';
import type { FinishedKey, KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keyDigest } from '../../shared/protocol/keygen/record.ts';
import { PrssShares } from '../../shared/protocol/prss/shares.ts';
import { seededRng } from './random.ts';
import type { Simulation } from './simulation.ts';

/** Shares of s in NTT form over all primes, of every given party that has seeds. */
export function secretShares(
  kernel: Kernel,
  sim: Simulation<KeyGeneration>,
  parties: readonly PartyId[],
): Map<PartyId, Residues> {
  const shares = new Map<PartyId, Residues>();
  for (const party of parties) {
    const finished = sim.machine(party)?.finished;
    if (finished?.seeds === undefined) continue;
    const { record, seeds } = finished;
    const { primitives, committee, self, epoch } = sim.membership(party);
    const preset = presetByName(record.request.preset);
    const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
    const prss = new PrssShares(primitives, committee, self, { key: record.key, epoch }, seeds);
    shares.set(party, prss.smallNtt(ring, { role: 's', transcript: record.transcript, preset: preset.name }));
  }
  return shares;
}

/**
 * What must hold when a key generation has ended, by means that no party has: one certified key for all, shares of one
 * secret, and a public key that encrypts under it.
 * @throws {Error} saying what does not hold
 */
export function checkKey(
  kernel: Kernel,
  sim: Simulation<KeyGeneration>,
  honest: readonly PartyId[],
): FinishedKey {
  const all = honest.map((party) => sim.machine(party)?.finished);
  const [first] = all;
  if (first === undefined) throw new Error(`party ${honest[0]} has no key`);
  const anyone = sim.membership(honest[0] ?? (1 as PartyId));
  const digest = keyDigest(anyone.primitives, first.record);
  for (const finished of all) {
    if (finished === undefined) throw new Error('an honest party has no key');
    if (keyDigest(anyone.primitives, finished.record) !== digest) throw new Error('two keys for one request');
    const { certificate, record } = finished;
    const isValid =
      certificate.statement === digest && isCertified(anyone, keyScope(record.key), certificate);
    if (!isValid) throw new Error('a key without a valid certificate');
  }
  const shares = secretShares(kernel, sim, honest);
  const preset = presetByName(first.record.request.preset);
  const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
  const opened = new RobustDecoder(ring, sim.committee, seededRng('oracle')).tryDecode(shares);
  if (opened === undefined || opened.wrong.length > 0) throw new Error('the shares are not of one secret');
  const { transcript, key, epoch, publicKey } = first.record;
  const a = new PublicElements(anyone.primitives, { ring, transcript, preset: preset.name }, { key, epoch });
  const error = ring.add(publicKey, ring.mul(a.publicKey(), opened.value));
  ring.intt(error);
  const limit = 21n * 715n;
  const isSmall = error.every((word, i) => {
    const prime = ring.primes[Math.floor(i / ring.degree)] ?? 0n;
    return word <= limit || prime - word <= limit;
  });
  if (!isSmall) throw new Error('the public key is not of the shared secret');
  return first;
}
