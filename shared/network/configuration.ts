import { MAX_ADDRESS_BYTES, parseAddress } from '../address.ts';
import { type Committee, committee } from '../committee.ts';
import { KmsError } from '../errors.ts';
import { type Digest, digest, type EpochId, MAX_PARTIES, type PartyId } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { NO_DIGEST } from '../protocol/statement.ts';
import { equalBytes, toHex, utf8 } from '../wire/bytes.ts';
import {
  type Codec,
  digest32,
  encode,
  epoch,
  fixedBytes,
  list,
  party,
  struct,
  text,
  u8,
  u32,
} from '../wire/codec.ts';
import { type ChainAccess, chainAccessCodec, checkHostChains, MAX_HOST_CHAINS } from './chain-access.ts';
import { checkGovernance, type Governance, governanceCodec } from './governance.ts';
import { checkMeasurement, type Measurement, measurementCodec, measurementName } from './measurement.ts';
import { type RpcSet, rpcSetCodec } from './rpc.ts';
import { checkStorage, type Storage, storageCodec } from './storage.ts';

export type { Measurement } from './measurement.ts';

/** One member: its Shamir x-coordinate, its Ed25519 keys, where its parent listens and where it keeps what it seals. */
export interface Member {
  readonly party: PartyId;
  /** 32 bytes */
  readonly identity: Uint8Array;
  /** 32 bytes: speaks for the node while its identity is sealed (decision 0005). */
  readonly bootKey: Uint8Array;
  /** `host:port` (shared/address.ts) */
  readonly address: string;
  readonly storage: Storage;
}

/**
 * Numbered state of a network: committee, allowed measurements, endpoints, custodians. Signed by a quorum of operator
 * governance keys of its predecessor (of genesis for number 0); an enclave accepts only an unbroken chain from genesis.
 */
export interface Configuration {
  readonly number: number;
  readonly networkId: Digest;
  /** Digest of the predecessor; NO_DIGEST for number 0. */
  readonly predecessor: Digest;
  readonly epoch: EpochId;
  readonly t: number;
  /** Parties 1..n in order. */
  readonly members: readonly Member[];
  /** Never empty. */
  readonly measurements: readonly Measurement[];
  /** From this block on the configuration is valid. Number 0 is valid from block 0. */
  readonly activationBlock: number;
  /** Up to and with this block its predecessor is valid too. 0 for number 0. */
  readonly overlapUntilBlock: number;
  /** Signs the successor. */
  readonly governance: Governance;
  /** Of the gateway chain. */
  readonly rpc: RpcSet;
  /** How old the gateway chain's newest block may be, in seconds; 0 in a network without a gateway. */
  readonly maxHeadAgeS: number;
  /** Ascending by id; none in a network without a gateway. */
  readonly hosts: readonly ChainAccess[];
  /** Custodians' X-Wing keys by hash; empty until custody exists. */
  readonly custodians: readonly Digest[];
}

const FORMAT = 3;
const DOMAIN = utf8('kms/v1/configuration');
const MAX_MEASUREMENTS = 16;
const MAX_CUSTODIANS = 32;

const fields: Codec<{ readonly format: number } & Configuration> = struct({
  format: u8,
  number: u32,
  networkId: digest32,
  predecessor: digest32,
  epoch,
  t: u8,
  members: list<Member>(
    struct({
      party,
      identity: fixedBytes(32),
      bootKey: fixedBytes(32),
      address: text(MAX_ADDRESS_BYTES),
      storage: storageCodec,
    }),
    MAX_PARTIES,
  ),
  measurements: list(measurementCodec, MAX_MEASUREMENTS),
  activationBlock: u32,
  overlapUntilBlock: u32,
  governance: governanceCodec,
  rpc: rpcSetCodec,
  maxHeadAgeS: u32,
  hosts: list(chainAccessCodec, MAX_HOST_CHAINS),
  custodians: list(digest32, MAX_CUSTODIANS),
});

/** Layout only: what is read is still to be checked by checkConfiguration(). */
export const configurationCodec: Codec<Configuration> = {
  write: (out, configuration) => fields.write(out, { format: FORMAT, ...configuration }),
  read(from) {
    const { format, ...configuration } = fields.read(from);
    if (format !== FORMAT)
      throw new KmsError('BAD_ENCODING', `configuration format ${format} is not supported`);
    return configuration;
  },
};

/** SHA-256 of the domain and the canonical bytes: what governance signs and the successor names. */
export function configurationDigest(hashes: Hashes, configuration: Configuration): Digest {
  return digest(toHex(hashes.sha256(DOMAIN, encode(configurationCodec, configuration))));
}

/**
 * Everything that can be said about a configuration by itself: every party of 1..n exactly once and in order, distinct
 * identities and addresses, n >= 3t + 1, measurements that can match a real image, governance keys, blocks in order,
 * host chains.
 * @throws {KmsError} BAD_CONFIGURATION
 */
export function checkConfiguration(configuration: Configuration): Committee {
  try {
    checkMeasurements(configuration);
    checkGovernance(configuration.governance);
    checkBlocks(configuration);
    checkHostChains(configuration.hosts);
    const { custodians } = configuration;
    if (custodians.length > MAX_CUSTODIANS || new Set(custodians).size !== custodians.length) {
      throw new KmsError('BAD_INPUT', 'a custodian is named twice');
    }
    return checkMembers(configuration);
  } catch (cause) {
    throw badConfiguration(cause instanceof Error ? cause.message : 'malformed', cause);
  }
}

export function committeeOf({ members, t }: Configuration): Committee {
  return committee(members.length, t);
}

/** The party that holds this identity key, if the configuration names one. */
export function memberOf(configuration: Configuration, identity: Uint8Array): Member | undefined {
  return configuration.members.find((member) => equalBytes(member.identity, identity));
}

export function badConfiguration(message: string, cause?: unknown): KmsError {
  return new KmsError('BAD_CONFIGURATION', message, { cause });
}

function checkMembers(configuration: Configuration): Committee {
  const { members } = configuration;
  const n = members.length;
  const of = committeeOf(configuration);
  if (members.some((member, index) => member.party !== index + 1)) {
    throw new KmsError('BAD_INPUT', `a configuration lists the parties 1..${n}, each once and in order`);
  }
  for (const { identity, bootKey, address, storage } of members) {
    if (identity.length !== 32 || bootKey.length !== 32) {
      throw new KmsError('BAD_INPUT', 'identity and boot keys have 32 bytes');
    }
    parseAddress(address);
    checkStorage(storage);
  }
  if (new Set(members.flatMap(({ identity, bootKey }) => [toHex(identity), toHex(bootKey)])).size !== 2 * n) {
    throw new KmsError('BAD_INPUT', 'two identity or boot keys are the same');
  }
  for (const own of ['kmsKey', 'bucket'] as const) {
    if (new Set(members.map(({ storage }) => storage[own])).size !== n) {
      throw new KmsError('BAD_INPUT', `two parties have the same ${own}`);
    }
  }
  if (new Set(members.map(({ address }) => address)).size !== n) {
    throw new KmsError('BAD_INPUT', 'two parties have the same address');
  }
  return of;
}

function checkMeasurements({ measurements }: Configuration): void {
  if (measurements.length === 0) {
    throw new KmsError('BAD_INPUT', 'no measurement is allowed: an empty list never means "any"');
  }
  if (measurements.length > MAX_MEASUREMENTS) throw new KmsError('BAD_INPUT', 'too many measurements');
  measurements.forEach(checkMeasurement);
  if (new Set(measurements.map(measurementName)).size !== measurements.length) {
    throw new KmsError('BAD_INPUT', 'a measurement is listed twice');
  }
}

function checkBlocks({
  number,
  activationBlock,
  overlapUntilBlock,
  epoch: of,
  predecessor,
}: Configuration): void {
  if (number > 0) {
    if (overlapUntilBlock < activationBlock) {
      throw new KmsError('BAD_INPUT', 'the window with the predecessor ends before it begins');
    }
    return;
  }
  if (activationBlock !== 0 || overlapUntilBlock !== 0) {
    throw new KmsError('BAD_INPUT', 'configuration 0 is valid from block 0');
  }
  if (of !== 0) throw new KmsError('BAD_INPUT', 'configuration 0 begins epoch 0');
  if (predecessor !== NO_DIGEST) throw new KmsError('BAD_INPUT', 'configuration 0 has no predecessor');
}
