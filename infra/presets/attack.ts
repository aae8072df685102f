import { sealRuntime } from '../../client/seal/context.ts';
import { Evaluator } from '../../client/seal/evaluator.ts';
import { type Committee, corruptSets } from '../../shared/committee.ts';
import { openEnvelope, sealEnvelope } from '../../shared/fhe/envelope.ts';
import { keyBytesOf } from '../../shared/fhe/key-material.ts';
import { boundAtDecryption, inputBound } from '../../shared/fhe/noise.ts';
import type { Preset } from '../../shared/fhe/presets.ts';
import { type SealCiphertext, writeCiphertext } from '../../shared/fhe/seal/ciphertext.ts';
import { keyId } from '../../shared/ids.ts';
import { noble } from '../../shared/noble.ts';
import { type Claim, log2 } from './claims.ts';
import { hostileEncryption, measure, noiseItself, productFactor } from './measure.ts';
import { seededRng, type WideKeys, wideKeys } from './wide-keys.ts';

/**
 * A hostile user at his best against one key of the committee's width: an input of maximal noise, two inputs
 * each aligned with what the other will multiply it by, then the deepest circuit the preset permits, done by
 * node-seal. After every step the exact noise must be at most the static bound, and the message right.
 */
export async function measuredClaims(preset: Preset, of: Committee): Promise<readonly Claim[]> {
  const { kernel } = await sealRuntime(preset);
  const keys = wideKeys(kernel, preset, corruptSets(of).length, seededRng(`${preset.name} ${of.n} ${of.t}`));
  const id = keyId('00'.repeat(32));
  using evaluator = await Evaluator.create(preset, id, keyBytesOf(keys.material));

  // A scalar, so that the expected message is one number.
  let expected = preset.plainModulus - 2n;
  const message = new BigUint64Array(preset.degree);
  message[0] = expected;
  const sealed = (ciphertext: SealCiphertext): Uint8Array =>
    sealEnvelope(
      { keyId: id, preset, kind: 'scalar', bound: inputBound(preset) },
      writeCiphertext(preset, ciphertext),
    );

  const claims: Claim[] = [];
  const check = (step: string, envelope: Uint8Array): void => {
    const { bound, c0, c1 } = openEnvelope(envelope, noble);
    const { noise, message: decrypted } = measure(keys, { level: bound.level, c0, c1 });
    const right = decrypted.every((x, i) => x === (i === 0 ? expected : 0n));
    claims.push({
      preset: preset.name,
      claim: `hostile user at (${of.n},${of.t}): ${step}`,
      ok: right && noise <= bound.bound,
      detail: `2^${log2(noise)} <= 2^${log2(bound.bound)}${right ? '' : ', WRONG MESSAGE'}`,
    });
  };

  check('input', sealed(hostileEncryption(keys, message, noiseItself(preset))));
  const [left, right] = alignedPair(keys, message);
  let result = sealed(left);
  for (let depth = 1; depth <= preset.depth; depth++) {
    result = evaluator.mul(result, depth === 1 ? sealed(right) : result);
    expected = (expected * expected) % preset.plainModulus;
    check(`depth ${depth}`, result);
  }
  const atDecryption = boundAtDecryption(preset, openEnvelope(result, noble).bound);
  while (openEnvelope(result, noble).bound.level > preset.decryptionLevel)
    result = evaluator.switchDown(result);
  check(`depth ${preset.depth}, switched down, vMax 2^${log2(preset.vMax)}`, result);
  claims.push({
    preset: preset.name,
    claim: `bound at the decryption level within vMax`,
    ok: atDecryption.bound <= preset.vMax && atDecryption.bound === openEnvelope(result, noble).bound.bound,
    detail: `2^${log2(atDecryption.bound)} <= 2^${log2(preset.vMax)}`,
  });
  return claims;
}

/**
 * Two inputs whose product is as noisy as he can make it: each one's errors aligned with the other's factor
 * T.
 */
export function alignedPair(
  keys: WideKeys,
  message: BigUint64Array,
): readonly [SealCiphertext, SealCiphertext] {
  const { preset } = keys.material;
  const goal = noiseItself(preset);
  const masks = [3, 5].map((step) =>
    Int32Array.from({ length: preset.degree }, (_, i) => (Math.floor((i * i) / step) % 2 === 0 ? 1 : -1)),
  );
  const [one, two] = masks.map((mask) => productFactor(keys, hostileEncryption(keys, message, goal, mask)));
  return [hostileEncryption(keys, message, two!, masks[0]), hostileEncryption(keys, message, one!, masks[1])];
}
