import { createCipheriv, randomBytes } from 'node:crypto';
import type { Ring } from '../../shared/math/ring.ts';
import { median, wallSeconds } from './job.ts';

/** How fast this machine is at this moment, by two jobs that the code under test does not change. */
export interface BaselineSample {
  /** AES-256-CTR by OpenSSL, 10^6 bytes per second. */
  readonly aesCtrMBps: number;
  /** One forward NTT, N = 8192, 54-bit prime. */
  readonly ntt8192Us: number;
}

const AES_BYTES = 1 << 20;
const NTTS = 9;

/**
 * Taken after every block of runs, so that a figure can be read against the machine as it was then: other work on the
 * same cores slows both.
 */
export class Baseline {
  readonly #samples: BaselineSample[] = [];
  readonly #cipher = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16));
  readonly #plaintext = randomBytes(AES_BYTES);
  readonly #ring: Ring;
  readonly #element: BigUint64Array;

  /** @param ring N = 8192 over at least one prime */
  constructor(ring: Ring) {
    this.#ring = ring.take(1);
    this.#element = this.#ring.uniform(randomBytes(24 * this.#ring.length));
    for (let i = 0; i < 20; i++) this.sample();
    this.#samples.length = 0;
  }

  sample(): BaselineSample {
    const aes = Array.from({ length: 3 }, () => seconds(() => this.#cipher.update(this.#plaintext)));
    const ntt = Array.from({ length: NTTS }, () => seconds(() => this.#ring.ntt(this.#element)));
    const sample = { aesCtrMBps: AES_BYTES / 1e6 / median(aes), ntt8192Us: median(ntt) * 1e6 };
    this.#samples.push(sample);
    return sample;
  }

  /** Medians over the whole session. */
  get summary(): BaselineSample {
    return {
      aesCtrMBps: Math.round(median(this.#samples.map((sample) => sample.aesCtrMBps))),
      ntt8192Us: Math.round(median(this.#samples.map((sample) => sample.ntt8192Us)) * 10) / 10,
    };
  }
}

function seconds(call: () => void): number {
  const started = wallSeconds();
  call();
  return wallSeconds() - started;
}
