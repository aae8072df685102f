import type { Rng, Signer } from '../shared/primitives.ts';
import { IDENTITY } from './identity.ts';
import { newResultSigner, RESULT_SIGNER } from './membership/result-signer.ts';
import { ed25519Signer } from './primitives.ts';
import type { Changes } from './store/sealed-store.ts';

const SEED_BYTES = 32;

/** The keys of a node that was never a member: they exist in this process alone, and end with it (decision 0005). */
export class Newborn {
  readonly identity: Signer;
  readonly bootKey: Signer;
  readonly #identitySeed: Uint8Array;
  readonly #bootSeed: Uint8Array;
  readonly #resultSigner: Uint8Array;

  constructor(rng: Rng) {
    this.#identitySeed = rng(SEED_BYTES);
    this.#bootSeed = rng(SEED_BYTES);
    this.#resultSigner = newResultSigner(rng);
    this.identity = ed25519Signer(this.#identitySeed);
    this.bootKey = ed25519Signer(this.#bootSeed);
  }

  /** For tier 1. Secret, for the duration of the call. */
  useBootSeed<T>(f: (seed: Uint8Array) => T): T {
    return f(this.#bootSeed);
  }

  /** The first state of tier 2. Secret, until this is disposed of. */
  firstState(): Changes {
    return new Map([
      [IDENTITY, this.#identitySeed],
      [RESULT_SIGNER, this.#resultSigner],
    ]);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  /** Its keys are sealed, or nobody's any more. */
  [Symbol.dispose](): void {
    for (const secret of [this.#identitySeed, this.#bootSeed, this.#resultSigner]) secret.fill(0);
  }
}
