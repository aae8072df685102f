import type { NoiseConstants, Preset } from '../../shared/fhe/presets.ts';
import { absoluteSumBound, centredBinomialSum, ternarySum } from './tails.ts';

/** Widest generating committee: (13,4), one PRSS term for each of its C(13,4) seeds. */
const SEEDS = 715n;
const ETA = 21n;
const FAILURE_BITS = 100;
/** Prover limits on an input's encryption randomness: ternary u, centred binomial errors. */
const BETA_U = 1n;
const BETA_E = ETA;

/**
 * The constants of the noise rule (shared/fhe/noise.ts) from first principles. The presets carry them frozen;
 * `prove.ts` and a test compare.
 *
 * With C seeds: secret variance 2C/3 a coefficient, error variance C*eta/2; |s|_1 and |e|_1 exceed their
 * bounds with probability below 2^-100. K = sqrt((1 + N*2C/3)/12) is the deviation of (c0 + c1*s)/Q for
 * uniform c0, c1.
 */
export function deriveNoise(
  preset: Pick<Preset, 'degree' | 'dataPrimes' | 'specialPrime' | 'plainModulus'>,
): NoiseConstants {
  const n = BigInt(preset.degree);
  const k = BigInt(preset.dataPrimes.length);
  const p = preset.plainModulus;
  const secretL1 = absoluteSumBound(ternarySum(Number(SEEDS)), preset.degree, FAILURE_BITS);
  const errorL1 = absoluteSumBound(
    centredBinomialSum(Number(ETA), Number(SEEDS)),
    preset.degree,
    FAILURE_BITS,
  );

  // K^2 = phaseNumerator / 36.
  const phaseNumerator = 3n + 2n * SEEDS * n;
  let largest = 0n;
  for (const prime of preset.dataPrimes) if (prime > largest) largest = prime;
  const perDigit = (l1: bigint): bigint => ceilDiv(largest * l1, preset.specialPrime);

  // e0*s + e1*u + e2 of the two-round relinearisation key: variance 2N*(C*eta/2)*(2C/3) + C*eta/2.
  const relinVariance = ceilDiv(2n * n * SEEDS * ETA * SEEDS, 3n) + ceilDiv(SEEDS * ETA, 2n);
  const relinL1 = n * ceilSqrt(625n * relinVariance, 4n);

  return {
    input: BETA_U * errorL1 + BETA_E * (1n + secretL1),
    // 4 * sqrt(N) * p * K, and N for the (p/Q)*w1*w2 term.
    productGain: ceilSqrt(16n * n * p * p * phaseNumerator, 36n) + n,
    // 12.5 * (k+1) * sqrt(1 + N*var + 2*(N*var)^2), var = 2C/3, and 1 for the rounding of Q*m/p.
    productOffset: ceilSqrt(625n * (k + 1n) ** 2n * (9n + 6n * n * SEEDS + 8n * (n * SEEDS) ** 2n), 36n) + 1n,
    relinPerDigit: perDigit(relinL1),
    galoisPerDigit: perDigit(errorL1),
    keySwitchOffset: ceilDiv(1n + secretL1, 2n) + 1n,
    // 12.5 * K, and 1 for the rounding of Q*m/p.
    switchOffset: ceilSqrt(625n * phaseNumerator, 144n) + 1n,
  };
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

/** ceil(sqrt(numerator / denominator)). */
function ceilSqrt(numerator: bigint, denominator: bigint): bigint {
  const x = ceilDiv(numerator, denominator);
  let root = BigInt(Math.ceil(Math.sqrt(Number(x))));
  while (root * root > x) root -= (root * root - x) / (2n * root) + 1n;
  while (root * root < x) root += 1n;
  return root;
}
