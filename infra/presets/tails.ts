/**
 * Tail bounds for sums over a ring element's coefficients of |x|, x an exact PRSS sum (protocols.md section
 * 2). No normal approximation: Chernoff's bound on the exact distribution, in double precision, rounded up by
 * one part in 10^6.
 */

/** Probabilities of the values -(size-1)/2 .. (size-1)/2 of an integer symmetric about 0. */
export type Pmf = Float64Array;

/** Sum of `count` independent uniform ternary values. */
export function ternarySum(count: number): Pmf {
  let pmf = Float64Array.of(1);
  for (let i = 0; i < count; i++) {
    const next = new Float64Array(pmf.length + 2);
    for (let k = 0; k < pmf.length; k++) {
      const third = pmf[k]! / 3;
      next[k]! += third;
      next[k + 1]! += third;
      next[k + 2]! += third;
    }
    pmf = next;
  }
  return pmf;
}

/**
 * Sum of `count` independent centred binomials of parameter eta: Binomial(2*eta*count, 1/2) moved to mean 0.
 */
export function centredBinomialSum(eta: number, count: number): Pmf {
  const trials = 2 * eta * count;
  const pmf = new Float64Array(trials + 1);
  let logProbability = -trials * Math.LN2;
  for (let k = 0; k <= trials; k++) {
    pmf[k] = Math.exp(logProbability);
    logProbability += Math.log((trials - k) / (k + 1));
  }
  return pmf;
}

export function variance(pmf: Pmf): number {
  const middle = (pmf.length - 1) / 2;
  return pmf.reduce((sum, probability, k) => sum + probability * (k - middle) ** 2, 0);
}

/** Least A found with P(sum of `count` independent |x| > A) <= 2^-failureBits by Chernoff's bound. */
export function absoluteSumBound(pmf: Pmf, count: number, failureBits: number): bigint {
  const middle = (pmf.length - 1) / 2;
  const logMgf = (theta: number): number => {
    let sum = 0;
    for (let k = 0; k < pmf.length; k++) sum += pmf[k]! * Math.exp(theta * Math.abs(k - middle));
    return Math.log(sum);
  };
  const sigma = Math.sqrt(variance(pmf));
  let best = Number.POSITIVE_INFINITY;
  for (let step = 1; step <= 60; step++) {
    const theta = (step / 60) * (0.6 / sigma);
    best = Math.min(best, (count * logMgf(theta) + failureBits * Math.LN2) / theta);
  }
  return BigInt(Math.ceil(best * (1 + 1e-6)));
}
