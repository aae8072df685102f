import { sealRuntime } from '../../client/seal/context.ts';
import type { SealModule } from '../../client/seal/module.ts';
import { type Committee, committee, corruptSets } from '../../shared/committee.ts';
import { KmsError } from '../../shared/errors.ts';
import { checkDecryptable, inputBound, mulBound, noiseCeiling } from '../../shared/fhe/noise.ts';
import { keyPrimes, type Preset, primesAt } from '../../shared/fhe/presets.ts';
import { isPrime } from '../../shared/math/modular.ts';
import { deriveNoise } from './derive-noise.ts';

/** One statement about a preset, shown true or false. */
export interface Claim {
  readonly preset: string;
  readonly claim: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Committees that may decrypt; the widest is also the widest that may generate. */
export const supportedCommittees: readonly Committee[] = [committee(4, 1), committee(13, 4)];

/** Total bits that the 2018 HomomorphicEncryption.org standard allows: ternary secret, 128-bit classical. */
const standardBits: ReadonlyMap<number, number> = new Map([
  [4096, 109],
  [8192, 218],
  [16384, 438],
]);

/** What can be shown about a preset by arithmetic alone, and by asking SEAL. */
export async function staticClaims(preset: Preset): Promise<readonly Claim[]> {
  const { seal, context } = await sealRuntime(preset);
  const claims: Claim[] = [];
  const claim = (text: string, ok: boolean, detail: string): void => {
    claims.push({ preset: preset.name, claim: text, ok, detail });
  };

  const primes = keyPrimes(preset);
  const shape = 2n * BigInt(preset.degree);
  claim(
    'primes are distinct, 1 mod 2N, below 2^60',
    new Set(primes).size === primes.length &&
      [...primes, preset.plainModulus].every((q) => isPrime(q) && q % shape === 1n && q < 1n << 60n),
    `${primes.map(bits).join('+')} bits, p ${bits(preset.plainModulus)}`,
  );
  claim(
    'primes are those SEAL creates',
    createdBySeal(seal, preset),
    'CoeffModulus.Create, PlainModulus.Batching',
  );

  const limit = standardBits.get(preset.degree) ?? 0;
  const total = bits(primes.reduce((product, q) => product * q, 1n));
  claim(
    preset.testOnly ? 'beyond the 2018 standard, and says so' : 'within the 2018 standard',
    preset.testOnly ? total > limit : total <= limit,
    `${total} of ${limit} bits`,
  );
  using key = context.keyContextData();
  using qualifiers = key.qualifiers();
  const level = qualifiers.securityLevel.value;
  claim(
    'security level is what SEAL reports',
    level === preset.sealSecurityLevel && (level >= 128 || preset.testOnly),
    `${level}`,
  );

  const derived = deriveNoise(preset);
  const names = Object.keys(derived) as (keyof typeof derived)[];
  claim(
    'noise constants are those derived',
    names.every((name) => derived[name] === preset.noise[name]),
    `input 2^${log2(derived.input)}, product gain 2^${log2(derived.productGain)}`,
  );

  const flood = 1n << BigInt(preset.floodBits);
  claim(
    'B >= 2^lambda * vMax, lambda >= 64',
    flood >= (1n << BigInt(preset.lambda)) * preset.vMax && preset.lambda >= 64,
    `B 2^${preset.floodBits}, vMax 2^${log2(preset.vMax)}, lambda ${preset.lambda}`,
  );
  const q = primesAt(preset, preset.decryptionLevel).reduce((product, prime) => product * prime, 1n);
  for (const of of supportedCommittees) {
    const seeds = BigInt(corruptSets(of).length);
    const noise = seeds * flood + preset.vMax + 1n;
    // 2^-25 of the decoding radius is left to the decoder's fixed-point rounding.
    claim(
      `decoding at (${of.n},${of.t}): C*B + vMax + 1 < Q'/2p`,
      2n * preset.plainModulus * noise * 2n ** 25n < q * (2n ** 25n - 1n),
      `2^${log2(noise)} < 2^${log2(q / (2n * preset.plainModulus))}`,
    );
  }
  const reached = reachableDepth(preset);
  claim(
    'depth claimed is the depth the rule permits',
    reached === preset.depth,
    `${reached} multiplications of hostile inputs`,
  );
  claim(
    'bounds stay below 2^256',
    noiseCeiling(preset, preset.levels) < 1n << 255n,
    `ceiling 2^${log2(noiseCeiling(preset, preset.levels))}`,
  );
  return claims;
}

function reachableDepth(preset: Preset): number {
  let bound = inputBound(preset);
  for (let depth = 0; ; depth++) {
    try {
      bound = mulBound(preset, bound, bound);
      checkDecryptable(preset, bound);
    } catch (error) {
      if (error instanceof KmsError && error.code === 'TOO_NOISY') return depth;
      throw error;
    }
  }
}

function createdBySeal(seal: SealModule, preset: Preset): boolean {
  const wanted = keyPrimes(preset);
  using created = seal.CoeffModulus.Create(preset.degree, Int32Array.from(wanted, bits));
  using plain = seal.PlainModulus.Batching(preset.degree, bits(preset.plainModulus));
  return (
    plain.value() === preset.plainModulus &&
    wanted.every((prime, index) => {
      using modulus = created.get(index);
      return modulus?.value() === prime;
    })
  );
}

function bits(x: bigint): number {
  return x.toString(2).length;
}

/** log2 to two places, for reading. */
export function log2(x: bigint): string {
  if (x <= 0n) return '-inf';
  const shift = Math.max(0, bits(x) - 53);
  return (Math.log2(Number(x >> BigInt(shift))) + shift).toFixed(2);
}
