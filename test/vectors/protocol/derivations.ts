import { createHash } from 'node:crypto';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { committee } from '../../../shared/committee.ts';
import { keyPrimes, presetByName } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { keyScope, signScoped } from '../../../shared/protocol/certificate.ts';
import { FloodShares } from '../../../shared/protocol/decryption/flood.ts';
import { decryptionScope } from '../../../shared/protocol/decryption/public-decryption.ts';
import { publicElement } from '../../../shared/protocol/keygen/elements.ts';
import { keyIdOf, requestPurpose } from '../../../shared/protocol/keygen/request.ts';
import { signShare } from '../../../shared/protocol/opening/opening.ts';
import { maskLabel } from '../../../shared/protocol/prss/labels.ts';
import { Prf } from '../../../shared/protocol/prss/prf.ts';
import { KeySeeds, keySeed, setsHeldBy } from '../../../shared/protocol/prss/seeds.ts';
import { PrssShares } from '../../../shared/protocol/prss/shares.ts';
import { commitment } from '../../../shared/protocol/setup/transcript.ts';
import { tupleHash } from '../../../shared/protocol/statement.ts';
import { bytesOf, fromHex, utf8 } from '../../../shared/wire/bytes.ts';
import { stream } from '../../oracle/stream.ts';
import { memberships } from '../../simulator/simulation.ts';

/**
 * What nodes compute from sealed seeds, in hex. A node that computes another value after an update has lost its share
 * of every key, and one that hashes another statement refuses its peers' signatures.
 */
export async function derivations(): Promise<ReadonlyMap<string, string>> {
  const of = committee(4, 1);
  const member = memberships(of, 'vectors').get(partyId(1))!;
  const key = keyId('61'.repeat(32));
  const transcript = digest('62'.repeat(32));
  const ciphertext = digest('63'.repeat(32));
  const [h0, h1] = [digest('64'.repeat(32)), digest('65'.repeat(32))];
  const owner = { key, epoch: epochId(5) };
  const preset = presetByName('test-4096');
  const common = { transcript, preset: preset.name };
  const request = { request: digest('66'.repeat(32)), preset: preset.name, galois: 'none' } as const;
  const flood = { n: 4, t: 1, level: 2, floodBits: 77, switchVersion: 1, ciphertext } as const;
  const rotation = { digit: 1, element: 3, source: key, target: key };

  const kernel = await Kernel.load();
  const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
  const seeds = stream('vector seeds', 32 * setsHeldBy(of, member.self).length);
  const prss = new PrssShares(nodePrimitives, of, member.self, owner, new KeySeeds(of, member.self, seeds));
  const floods = new FloodShares(prss, of, preset, ring.take(2));
  const operands = { ...owner, ...common, result: 'public-key', digit: 0, element: 1 } as const;
  const seed = stream('vector seed', 32);
  const long = (words: BigUint64Array): Uint8Array =>
    new Uint8Array(createHash('sha256').update(bytesOf(words)).digest());
  const purpose = requestPurpose(member, request);

  const all: readonly (readonly [string, Uint8Array])[] = [
    ['tuple hash', tupleHash(nodePrimitives, 'test', 'text', 258, Uint8Array.of(1, 2, 3))],
    ['request purpose', fromHex(purpose)],
    ['key id', fromHex(keyIdOf(member, purpose, 2))],
    ['commitment', commitment(nodePrimitives, transcript, partyId(2), 3, seed)],
    ['key seed', keySeed(nodePrimitives, seed, key)],
    ['label s', maskLabel(nodePrimitives, owner, { role: 's', ...common })],
    ['label u', maskLabel(nodePrimitives, owner, { role: 'u', ...common, digit: 1 })],
    ['label e', maskLabel(nodePrimitives, owner, { role: 'e', ...common })],
    ['label e0', maskLabel(nodePrimitives, owner, { role: 'e0', ...common, digit: 1 })],
    ['label e1', maskLabel(nodePrimitives, owner, { role: 'e1', ...common, digit: 1 })],
    ['label e2', maskLabel(nodePrimitives, owner, { role: 'e2', ...common, digit: 1, h0, h1 })],
    ['label galois-e', maskLabel(nodePrimitives, owner, { role: 'galois-e', ...common, ...rotation })],
    ['label flood', maskLabel(nodePrimitives, owner, { role: 'flood', ...flood })],
    ['keystream', new Prf(nodePrimitives, seed).keystream(seed, new Uint8Array(48))],
    ['share of s', long(prss.small(ring, { role: 's', ...common }))],
    ['share of e', long(prss.small(ring, { role: 'e', ...common }))],
    ['share of a flood', long(floods.vector(ciphertext))],
    ['public element', long(publicElement(nodePrimitives, ring, { ...operands, source: key, target: key }))],
    ['decryption scope', fromHex(decryptionScope(member, { key, ciphertext, kind: 'scalar' }).scope)],
    ['signed share', signShare(member, { scope: transcript, name: 'x' }, BigUint64Array.of(1n, 2n))],
    ['signed key', signScoped(member, keyScope(key), transcript).signature],
    ['hkdf', nodePrimitives.hkdf(seed, new Uint8Array(0), utf8('x'), 32)],
  ];
  return new Map(all.map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]));
}
