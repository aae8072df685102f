import type { Committee } from '../shared/committee.ts';
import { KmsError } from '../shared/errors.ts';
import { type Preset, presetByName } from '../shared/fhe/presets.ts';
import type { Digest, KeyId } from '../shared/ids.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import { PartialDecryptor } from '../shared/protocol/decryption/partial.ts';
import type { FinishedKey } from '../shared/protocol/keygen/keygen.ts';
import { certifiedKeyCodec, keyDigest } from '../shared/protocol/keygen/record.ts';
import type { Membership } from '../shared/protocol/machine.ts';
import { PrssShares } from '../shared/protocol/prss/shares.ts';
import { encode } from '../shared/wire/codec.ts';

/** Hands out the share of a key; a test may inject a lying one, production has this file's only. */
export type Decryptor = Pick<PartialDecryptor, 'partial' | 'scalars' | 'ring' | 'preset'>;

export type DecryptorFactory = (
  kernel: Kernel,
  of: Committee,
  preset: Preset,
  prss: PrssShares,
  transcript: FinishedKey['record']['transcript'],
) => Decryptor;

export const honestDecryptor: DecryptorFactory = (kernel, of, preset, prss, transcript) =>
  new PartialDecryptor(kernel, of, preset, prss, transcript);

/** The certified keys this node knows, and its share of each for which it has seeds. */
export class KeyRing {
  readonly #membership: Membership;
  readonly #kernel: Kernel;
  readonly #makeDecryptor: DecryptorFactory;
  readonly #keys = new Map<KeyId, FinishedKey>();
  readonly #decryptors = new Map<KeyId, Decryptor>();

  constructor(membership: Membership, kernel: Kernel, makeDecryptor: DecryptorFactory) {
    this.#membership = membership;
    this.#kernel = kernel;
    this.#makeDecryptor = makeDecryptor;
  }

  get ids(): readonly KeyId[] {
    return [...this.#keys.keys()];
  }

  add(finished: FinishedKey): void {
    this.#keys.set(finished.record.key, finished);
  }

  /** Canonical bytes of the certified public record. @throws {KmsError} UNKNOWN_KEY */
  certified(key: KeyId): Uint8Array {
    const { record, certificate } = this.#known(key);
    return encode(certifiedKeyCodec, { record, certificate });
  }

  /** The digest that n - t members signed. @throws {KmsError} UNKNOWN_KEY */
  recordDigest(key: KeyId): Digest {
    return keyDigest(this.#membership.primitives, this.#known(key).record);
  }

  /** Keys of which this node holds a share. */
  held(): readonly { readonly key: KeyId; readonly preset: string }[] {
    return [...this.#keys.values()]
      .filter(({ seeds }) => seeds !== undefined)
      .map(({ record }) => ({ key: record.key, preset: record.request.preset }));
  }

  /**
   * The share of a key, expanded from its sealed seeds on first use.
   * @throws {KmsError} UNKNOWN_KEY, also when this node missed the key's generation and holds no share
   */
  decryptor(key: KeyId): Decryptor {
    const known = this.#decryptors.get(key);
    if (known !== undefined) return known;
    const { record, seeds } = this.#known(key);
    if (seeds === undefined) throw new KmsError('UNKNOWN_KEY', 'this node holds no share of the key');
    const { primitives, committee, self, epoch } = this.#membership;
    const prss = new PrssShares(primitives, committee, self, { key, epoch }, seeds);
    const preset = presetByName(record.request.preset);
    const decryptor = this.#makeDecryptor(this.#kernel, committee, preset, prss, record.transcript);
    this.#decryptors.set(key, decryptor);
    return decryptor;
  }

  #known(key: KeyId): FinishedKey {
    const known = this.#keys.get(key);
    if (known === undefined)
      throw new KmsError('UNKNOWN_KEY', 'no such key in this network; list keys to see them');
    return known;
  }
}
