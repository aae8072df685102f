import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { digestOf, tupleHash } from '../../shared/protocol/statement.ts';
import { HALF_BYTES, type HalfShare, interpolateHalf, splitHalf } from '../../shared/sealing/half.ts';
import { type Scope, scopeName } from '../../shared/sealing/scope.ts';
import { concat, fromHex } from '../../shared/wire/bytes.ts';
import type { JointDataKeys } from './joint-data-keys.ts';
import type { ScopeHeader } from './scope-header.ts';

export interface ScopesOptions {
  readonly networkId: Digest;
  readonly party: PartyId;
  /** The other nodes. */
  readonly holders: readonly PartyId[];
  /** t + 1 */
  readonly threshold: number;
  readonly hashes: Hashes;
  readonly rng: Rng;
  readonly dataKeys: JointDataKeys;
  /** Gives every holder its share; resolves when enough hold it (decision 0005). */
  readonly deal: (scope: Scope, shares: readonly HalfShare[]) => Promise<void>;
}

interface OpenScope {
  readonly header: ScopeHeader;
  /** Secret. */
  readonly key: Uint8Array;
  /** Every holder's, for those that do not have it yet. Secret. */
  readonly shares: readonly HalfShare[];
}

const KEY_BYTES = 32;

/**
 * The wrapping keys of tier 2, one a scope, each derived from a KMS half and a peer half; they exist only while this process
 * lives.
 */
export class Scopes {
  readonly #options: ScopesOptions;
  readonly #open = new Map<string, OpenScope>();
  readonly #creating = new Map<string, Promise<ScopeHeader>>();

  constructor(options: ScopesOptions) {
    this.#options = options;
  }

  /** Secret, valid until the scope is destroyed. @throws {KmsError} STORE_FAILED */
  keyOf(name: string): Uint8Array {
    return this.#opened(name).key;
  }

  headerOf(name: string): ScopeHeader {
    return this.#opened(name).header;
  }

  /** Every holder's share. Secret. */
  sharesOf(name: string): readonly HalfShare[] {
    return this.#opened(name).shares;
  }

  /** Open, or about to be. */
  isUsed(name: string): boolean {
    return this.#open.has(name) || this.#creating.has(name);
  }

  get names(): readonly string[] {
    return [...this.#open.keys()];
  }

  /**
   * Opens the scope, with new halves if there is none. Its header must be durable before anything that its key seals.
   * @throws {KmsError} KMS_REFUSED, KMS_UNAVAILABLE; SESSION_CLOSED when the node ends before enough holders have shares
   */
  async ensure(scope: Scope): Promise<ScopeHeader> {
    const name = scopeName(scope);
    const open = this.#open.get(name);
    if (open !== undefined) return open.header;
    let creating = this.#creating.get(name);
    if (creating === undefined) {
      creating = this.#create(scope).finally(() => this.#creating.delete(name));
      this.#creating.set(name, creating);
    }
    return creating;
  }

  /**
   * Opens a scope that there was before.
   * @param shares of its holders, used before the promise is returned
   * @throws {KmsError} STORE_FAILED with too few shares; KMS_REFUSED, KMS_UNAVAILABLE
   */
  async open(header: ScopeHeader, shares: readonly HalfShare[]): Promise<void> {
    const { threshold, dataKeys } = this.#options;
    const name = scopeName(header.scope);
    const enough = goodShares(this.#options.hashes, header, shares).slice(0, threshold);
    if (enough.length < threshold) {
      throw new KmsError('STORE_FAILED', `scope ${name} needs ${threshold} release shares of other nodes`);
    }
    // Before anything is awaited: the caller's shares may be gone afterwards.
    const half = interpolateHalf(enough, 0);
    const all = header.shares.map(({ party }) => ({ party, value: interpolateHalf(enough, party) }));
    try {
      this.#install(header, await dataKeys.open(header.blobs, purposeOf(header.scope)), half, all);
    } catch (error) {
      for (const secret of [half, ...all.map(({ value }) => value)]) secret.fill(0);
      throw error;
    }
  }

  /**
   * The scope's KMS half under the KMS key of the image that comes after this one as well; the caller makes the header durable.
   * @returns undefined if it is already
   * @throws {KmsError} KMS_REFUSED, KMS_POLICY, KMS_UNAVAILABLE
   */
  async reseal(name: string): Promise<ScopeHeader | undefined> {
    const { header, ...rest } = this.#opened(name);
    const blobs = await this.#options.dataKeys.reseal(header.blobs, purposeOf(header.scope));
    if (blobs === header.blobs) return undefined;
    const resealed = { ...header, blobs };
    this.#open.set(name, { ...rest, header: resealed });
    return resealed;
  }

  /** Erases the wrapping key; its records cannot be opened again. */
  destroy(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#open.delete(name);
    open.key.fill(0);
    for (const { value } of open.shares) value.fill(0);
  }

  [Symbol.dispose](): void {
    for (const name of this.names) this.destroy(name);
  }

  async #create(scope: Scope): Promise<ScopeHeader> {
    const { rng, holders, threshold, hashes, dataKeys, deal } = this.#options;
    const half = rng(HALF_BYTES);
    const shares = splitHalf(half, holders, threshold, rng);
    const digests = shares.map(({ party, value }) => ({ party, digest: digestOf(hashes, value) }));
    // Neither half waits for the other: a peer half without a KMS half opens nothing, and the next attempt replaces it.
    const [{ plaintext, blobs }] = await Promise.all([
      dataKeys.generate(purposeOf(scope)),
      deal(scope, shares),
    ]);
    const header: ScopeHeader = { scope, blobs, shares: digests };
    this.#install(header, plaintext, half, shares);
    return header;
  }

  /** Takes and erases the halves. */
  #install(header: ScopeHeader, kmsHalf: Uint8Array, half: Uint8Array, shares: readonly HalfShare[]): void {
    const { hashes, networkId, party } = this.#options;
    const name = scopeName(header.scope);
    const both = concat(kmsHalf, half);
    const info = tupleHash(hashes, 'wrapping-key', party, name);
    const key = hashes.hkdf(both, fromHex(networkId), info, KEY_BYTES);
    for (const secret of [both, kmsHalf, half]) secret.fill(0);
    this.#open.set(name, { header, key, shares });
  }

  #opened(name: string): OpenScope {
    const open = this.#open.get(name);
    if (open === undefined) throw new KmsError('STORE_FAILED', `scope ${name} is not open`);
    return open;
  }
}

/** Those shares that are what their owner dealt, one of each holder however often it gave it. */
export function goodShares(
  hashes: Hashes,
  header: ScopeHeader,
  shares: readonly HalfShare[],
): readonly HalfShare[] {
  const dealt = new Map(header.shares.map(({ party, digest }) => [party, digest]));
  const good = shares.filter(
    ({ party, value }) => value.length === HALF_BYTES && dealt.get(party) === digestOf(hashes, value),
  );
  return [...new Map(good.map((share) => [share.party, share])).values()];
}

/** What KMS is told that a data key is for. */
function purposeOf(scope: Scope): string {
  return `tier-2/${scopeName(scope)}`;
}
