import { KmsError } from '../../shared/errors.ts';
import type { Digest, PartyId } from '../../shared/ids.ts';
import type { Hashes, Rng } from '../../shared/primitives.ts';
import { tupleHash } from '../../shared/protocol/statement.ts';
import { equalBytes, fromHex } from '../../shared/wire/bytes.ts';
import { type Codec, decode, encode, struct, u8 } from '../../shared/wire/codec.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { VersionedStore } from '../store/versioned-store.ts';
import type { Cloud, KeyBlob } from './cloud.ts';
import type { JointDataKeys } from './joint-data-keys.ts';
import { keyBlobsCodec } from './scope-header.ts';

export interface TierOneOptions {
  readonly cloud: Cloud;
  readonly networkId: Digest;
  readonly party: PartyId;
  readonly hashes: Hashes;
  readonly rng: Rng;
  readonly onTrouble?: (error: unknown) => void;
  readonly onLost?: (error: KmsError) => void;
}

const HEADERS = 'tier-1/headers/';
const MAX_HEADERS = 9999;
const MAX_HEADER_BYTES = 64 * 1024;
const PURPOSE = 'tier-1';
const KEY_BYTES = 32;
/** Protocols move in rounds: what other nodes have this one keep comes from all of them at about the same time. */
const GATHER_MS = 4;
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
  const header = encode(headerCodec, { format: FORMAT, blobs });
  if ((await objects.create(headerKey(1), header)) === 'exists' && !(await isThere(objects, header))) {
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
  const header = await newestHeader(objects);
  return header && openWith(options, await dataKeys.open(header.blobs, PURPOSE));
}

/** Lets the image that comes after this one open tier 1 as well. @throws {KmsError} KMS_*, STORE_FAILED, UNAVAILABLE */
export async function resealTierOne(objects: ObjectStore, dataKeys: JointDataKeys): Promise<void> {
  const header = await newestHeader(objects);
  if (header === undefined) throw new KmsError('STORE_FAILED', 'the bucket has lost the header of tier 1');
  const blobs = await dataKeys.reseal(header.blobs, PURPOSE);
  if (blobs === header.blobs) return;
  const sealed = encode(headerCodec, { format: FORMAT, blobs });
  if ((await objects.create(headerKey(header.number + 1), sealed)) === 'exists') {
    throw new KmsError('STORE_FAILED', 'another process has written the header of tier 1');
  }
}

/** A repeated request finds what the first one made. */
async function isThere(objects: ObjectStore, header: Uint8Array): Promise<boolean> {
  const found = await objects.get(headerKey(1), MAX_HEADER_BYTES);
  return found !== undefined && equalBytes(found, header);
}

async function newestHeader(
  objects: ObjectStore,
): Promise<{ readonly number: number; readonly blobs: readonly KeyBlob[] } | undefined> {
  const key = (await objects.list(HEADERS)).at(-1);
  const bytes = key && (await objects.get(key, MAX_HEADER_BYTES));
  if (key === undefined || bytes === undefined || bytes === '') return undefined;
  const { format, blobs } = decode(headerCodec, bytes);
  const number = Number(key.slice(HEADERS.length));
  if (format !== FORMAT || !Number.isInteger(number) || number < 1 || number > MAX_HEADERS) {
    throw new KmsError('STORE_FAILED', 'tier 1 has an unknown format');
  }
  return { number, blobs };
}

function headerKey(number: number): string {
  return `${HEADERS}${String(number).padStart(4, '0')}`;
}

/** Takes and erases the data key. */
function openWith(options: TierOneOptions, dataKey: Uint8Array): Promise<VersionedStore> {
  const { cloud, networkId, party, hashes, rng, onTrouble, onLost } = options;
  const key = hashes.hkdf(dataKey, fromHex(networkId), tupleHash(hashes, 'tier-1-key', party), KEY_BYTES);
  dataKey.fill(0);
  return VersionedStore.open(
    {
      ...{ objects: cloud.objects, id: 'tier-1', networkId, party, rng, manifestScope: 'tier-1' },
      gatherMs: GATHER_MS,
      scopeOf: () => 'tier-1',
      keyOf: () => key,
      ...(onTrouble === undefined ? {} : { onTrouble }),
      ...(onLost === undefined ? {} : { onLost }),
    },
    undefined,
  );
}
