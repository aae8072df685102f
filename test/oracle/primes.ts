const witnesses = [2n, 3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n, 37n];

export function powmod(base: bigint, exponent: bigint, q: bigint): bigint {
  if (exponent === 0n) return 1n % q;
  const half = powmod((base * base) % q, exponent / 2n, q);
  return exponent % 2n === 0n ? half : (half * base) % q;
}

/** Strong probable prime to twelve bases: exact below 2^64. */
export function isPrime(n: bigint): boolean {
  if (n < 41n) return witnesses.includes(n);
  if (n % 2n === 0n) return false;
  let [d, s] = [n - 1n, 0];
  for (; d % 2n === 0n; d /= 2n) s++;
  return witnesses.every((a) => {
    let x = powmod(a % n, d, n);
    if (x === 1n) return true;
    for (let i = 0; i < s; i++, x = (x * x) % n) if (x === n - 1n) return true;
    return false;
  });
}

/** The count largest primes of exactly `bits` bits that are 1 modulo 2*degree. */
export function nttPrimes(bits: number, degree: number, count = 1): bigint[] {
  const step = BigInt(2 * degree);
  const primes: bigint[] = [];
  const floor = 1n << BigInt(bits - 1);
  for (let q = (((1n << BigInt(bits)) - 2n) / step) * step + 1n; primes.length < count; q -= step) {
    if (q < floor) throw new Error(`not ${count} primes of ${bits} bits for degree ${degree}`);
    if (isPrime(q)) primes.push(q);
  }
  return primes;
}
