import { MAX_ADDRESS_BYTES, parseAddress } from './address.ts';
import { type Committee, committee } from './committee.ts';
import { KmsError } from './errors.ts';
import { type Digest, digest, type EpochId, MAX_PARTIES, type PartyId } from './ids.ts';
import type { Hashes } from './primitives.ts';
import { equalBytes, toHex, utf8 } from './wire/bytes.ts';
import {
  type Codec,
  decode,
  encode,
  epoch,
  fixedBytes,
  list,
  party,
  struct,
  text,
  u8,
} from './wire/codec.ts';

/** One member: its Shamir x-coordinate, its Ed25519 identity key and where its parent listens. */
export interface ManifestParty {
  readonly party: PartyId;
  /** 32 bytes */
  readonly identity: Uint8Array;
  /** `host:port` (shared/address.ts) */
  readonly address: string;
}

/** Who forms the network. Its hash is the network id and part of every transcript. */
export interface Manifest {
  /** For people; 1..64 characters of a-z, 0-9, '-'. */
  readonly name: string;
  readonly n: number;
  readonly t: number;
  readonly epoch: EpochId;
  /** Parties 1..n in order. */
  readonly parties: readonly ManifestParty[];
}

const FORMAT = 1;
const DOMAIN = utf8('kms/v1/network-manifest');

const layout: Codec<{ readonly format: number } & Manifest> = struct({
  format: u8,
  name: text(64),
  n: u8,
  t: u8,
  epoch,
  parties: list<ManifestParty>(
    struct({ party, identity: fixedBytes(32), address: text(MAX_ADDRESS_BYTES) }),
    MAX_PARTIES,
  ),
});

/** The one encoding of a valid manifest. @throws {KmsError} BAD_MANIFEST */
export function encodeManifest(manifest: Manifest): Uint8Array {
  checkManifest(manifest);
  return encode(layout, { format: FORMAT, ...manifest });
}

/** @throws {KmsError} BAD_MANIFEST for anything but the encoding of a valid manifest */
export function decodeManifest(bytes: Uint8Array): Manifest {
  try {
    const { format, ...manifest } = decode(layout, bytes);
    if (format !== FORMAT) throw new KmsError('BAD_ENCODING', `manifest format ${format} is not supported`);
    checkManifest(manifest);
    return manifest;
  } catch (error) {
    throw badManifest('these bytes are not a network manifest', error);
  }
}

/** SHA-256 of the domain and the canonical bytes. @throws {KmsError} BAD_MANIFEST */
export function networkIdOf(hashes: Hashes, manifest: Manifest): Digest {
  return digest(toHex(hashes.sha256(DOMAIN, encodeManifest(manifest))));
}

/**
 * Every party of 1..n exactly once and in order, distinct identities and addresses, n >= 3t + 1.
 * @throws {KmsError} BAD_MANIFEST
 */
export function checkManifest(manifest: Manifest): Committee {
  const { name, n, t, parties } = manifest;
  if (!/^[a-z0-9-]{1,64}$/.test(name)) {
    throw badManifest('a network name is 1..64 characters of a-z, 0-9 and -');
  }
  if (manifest.epoch !== 0) throw badManifest('a manifest describes epoch 0');
  let members: Committee;
  try {
    members = committee(n, t);
    for (const { address } of parties) parseAddress(address);
  } catch (error) {
    throw badManifest(error instanceof Error ? error.message : 'bad committee', error);
  }
  if (parties.length !== n || parties.some(({ party }, index) => party !== index + 1)) {
    throw badManifest(`a manifest lists the parties 1..${n}, each once and in order`);
  }
  if (parties.some(({ identity }) => identity.length !== 32))
    throw badManifest('an identity key has 32 bytes');
  if (new Set(parties.map(({ identity }) => toHex(identity))).size !== n) {
    throw badManifest('two parties have the same identity key');
  }
  if (new Set(parties.map(({ address }) => address)).size !== n) {
    throw badManifest('two parties have the same address');
  }
  return members;
}

/** The party that holds this identity key, if the manifest names one. */
export function partyOf(manifest: Manifest, identity: Uint8Array): ManifestParty | undefined {
  return manifest.parties.find((member) => equalBytes(member.identity, identity));
}

function badManifest(message: string, cause?: unknown): KmsError {
  return cause instanceof KmsError && cause.code === 'BAD_MANIFEST'
    ? cause
    : new KmsError('BAD_MANIFEST', message, { cause });
}
