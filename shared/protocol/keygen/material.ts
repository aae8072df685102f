import { KmsError } from '../../errors.ts';
import { galoisElements } from '../../fhe/galois.ts';
import type { KeyMaterial, SwitchingKey } from '../../fhe/key-material.ts';
import { keyPrimes, presetByName } from '../../fhe/presets.ts';
import type { Kernel } from '../../math/kernel/kernel.ts';
import { type Residues, Ring } from '../../math/ring.ts';
import type { Hashes } from '../../primitives.ts';
import { PublicElements } from './key-shares.ts';
import type { KeyRecord } from './record.ts';

/**
 * The public keys of a certified record in the form SEAL loads: the opened b beside the a derived from the transcript.
 * @throws {KmsError} UNKNOWN_PRESET, BAD_ENCODING when the record's elements are not of its preset
 */
export function keyMaterial(hashes: Hashes, kernel: Kernel, record: KeyRecord): KeyMaterial {
  const preset = presetByName(record.request.preset);
  const ring = new Ring(kernel, preset.degree, keyPrimes(preset));
  const { transcript, key, epoch, relinearisation, galois } = record;
  const a = new PublicElements(hashes, { ring, transcript, preset: preset.name }, { key, epoch });
  const element = (value: Residues): Residues => {
    if (!ring.isReduced(value)) throw new KmsError('BAD_ENCODING', 'the key record does not fit its preset');
    return value;
  };
  const expected = galoisElements(preset, record.request.galois);
  const isComplete =
    relinearisation.length === preset.levels &&
    galois.length === expected.length &&
    galois.every((one, i) => one.element === expected[i] && one.b.length === preset.levels);
  if (!isComplete) throw new KmsError('BAD_ENCODING', 'the key record lacks elements of its preset');
  const switching = galois.map((one): [number, SwitchingKey] => [
    one.element,
    one.b.map((b, digit) => ({ b: element(b), a: a.galois(one.element, digit) })),
  ]);
  return {
    preset,
    publicKey: { b: element(record.publicKey), a: a.publicKey() },
    relin: relinearisation.map(({ b, h1 }) => ({ b: element(b), a: element(h1) })),
    galois: new Map(switching),
  };
}
