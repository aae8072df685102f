import type { Cloud, DataKeys, KeyBlob, SuccessorKeys } from './cloud.ts';

/**
 * Data keys for the running image, and for the one that comes after it from the moment that a configuration names its KMS
 * key (decision 0005, "Before unsealing").
 */
export class JointDataKeys implements DataKeys {
  readonly #own: DataKeys;
  readonly #kmsKey: string;
  #successor: SuccessorKeys | undefined;

  /** @param cloud of the running image */
  constructor({ dataKeys, kmsKey }: Pick<Cloud, 'dataKeys' | 'kmsKey'>) {
    this.#own = dataKeys;
    this.#kmsKey = kmsKey;
  }

  /** Later data keys are for that image as well. */
  sealFor(successor: SuccessorKeys): void {
    this.#successor = successor;
  }

  async generate(purpose: string): ReturnType<DataKeys['generate']> {
    const { plaintext, blobs } = await this.#own.generate(purpose);
    if (this.#successor === undefined) return { plaintext, blobs };
    try {
      return { plaintext, blobs: [...blobs, await this.#successor.wrap(plaintext, purpose)] };
    } catch (error) {
      plaintext.fill(0);
      throw error;
    }
  }

  wrap(plaintext: Uint8Array, purpose: string): Promise<KeyBlob> {
    return this.#own.wrap(plaintext, purpose);
  }

  open(blobs: readonly KeyBlob[], purpose: string): Promise<Uint8Array> {
    return this.#own.open(blobs, purpose);
  }

  /** The same data key under the successor's KMS key too; unchanged if it is there already or nobody comes after. */
  async reseal(blobs: readonly KeyBlob[], purpose: string): Promise<readonly KeyBlob[]> {
    const successor = this.#successor;
    if (successor === undefined || blobs.some(({ kmsKey }) => kmsKey === successor.kmsKey)) return blobs;
    const plaintext = await this.#own.open(blobs, purpose);
    try {
      // Images before this one, and a successor that was thought better of, are history.
      const own = blobs.filter(({ kmsKey }) => kmsKey === this.#kmsKey);
      return [...own, await successor.wrap(plaintext, purpose)];
    } finally {
      plaintext.fill(0);
    }
  }
}
