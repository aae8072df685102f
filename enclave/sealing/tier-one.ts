import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { tupleHash } from '../../shared/protocol/statement.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { type Codec, decode, encode, struct, u8 } from '../../shared/wire/codec.ts';
import { VersionedStore } from '../store/versioned-store.ts';
import type { Cloud, KeyBlob } from './cloud.ts';
import { keyBlobsCodec } from './scope-header.ts';

export interface TierOneOptions {
  readonly cloud: Cloud;
  readonly networkId: Digest;
  readonly party: PartyId;
  readonly hashes: Hashes;
  readonly rng: Rng;
  readonly onTrouble?: (error: unknown) => void;
}

const HEADER = 'tier-1/header';
const MAX_HEADER_BYTES = 64 * 1024;
const PURPOSE = 'tier-1';
const KEY_BYTES = 32;
const FORMAT = 1;

const headerCodec: Codec<{ readonly format: number; readonly blobs: readonly KeyBlob[] }> = struct({
  format: u8,
  blobs: keyBlobsCodec,
});

/**
 * Tier 1: what a node knows before any other node has helped it, under one data key of KMS (decision 0005). Its records are versioned
 * as those of tier 2 are, but nobody vouches for the newest version: a bucket that is turned back makes this node one that has
 * forgotten what it kept for others.
 */
export async function createTierOne(options: TierOneOptions): Promise<VersionedStore> {
  const { objects, dataKeys } = options.cloud;
  const { plaintext, blobs } = await dataKeys.generate(PURPOSE);
  if ((await objects.create(HEADER, encode(headerCodec, { format: FORMAT, blobs }))) === 'exists') {
    plaintext.fill(0);
    throw new KmsError(
      'CONFLICT',
      'the bucket holds the state of a node of this network already; it is not founded again',
    );
  }
  return openWith(options, plaintext);
}

/**
 * @returns undefined if this node has never been founded in this bucket
 * @throws {KmsError} KMS_REFUSED, KMS_UNAVAILABLE; STORE_FAILED if it was changed or belongs elsewhere
 */
export async function openTierOne(options: TierOneOptions): Promise<VersionedStore | undefined> {
  const { objects, dataKeys } = options.cloud;
  const header = await objects.get(HEADER, MAX_HEADER_BYTES);
  if (header === undefined) return undefined;
  const { format, blobs } = decode(headerCodec, header);
  if (format !== FORMAT) throw new KmsError('STORE_FAILED', 'tier 1 has an unknown format');
  return openWith(options, await dataKeys.open(blobs, PURPOSE));
}

/** Takes and erases the data key. */
function openWith(options: TierOneOptions, dataKey: Uint8Array): Promise<VersionedStore> {
  const { cloud, networkId, party, hashes, rng, onTrouble } = options;
  const key = hashes.hkdf(dataKey, fromHex(networkId), tupleHash(hashes, 'tier-1-key', party), KEY_BYTES);
  dataKey.fill(0);
  return VersionedStore.open(
    {
      ...{ objects: cloud.objects, id: 'tier-1', networkId, party, rng, manifestScope: 'tier-1' },
      scopeOf: () => 'tier-1',
      keyOf: () => key,
      ...(onTrouble === undefined ? {} : { onTrouble }),
    },
    undefined,
  );
}
