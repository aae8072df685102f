import { KmsError } from '../errors.ts';
import { type Digest, digest } from '../ids.ts';
import type { Hashes } from '../primitives.ts';
import { NO_DIGEST } from '../protocol/statement.ts';
import { concat, toHex, utf8 } from '../wire/bytes.ts';
import {
  type Codec,
  decode,
  digest32,
  encode,
  fixedBytes,
  struct,
  text,
  u8,
  u32,
  u64,
} from '../wire/codec.ts';
import { checkFinality, type Finality, finalityCodec } from './chain-access.ts';
import { checkGovernance, type Governance, governanceCodec } from './governance.ts';
import { type NetworkClass, networkClass, TAG_BYTES, tagOf } from './network-class.ts';
import { checkRpcSet, type RpcSet, rpcSetCodec } from './rpc.ts';

/**
 * What a network is, for ever (decision 0004). Its hash makes the network id, which is in PCR16, in every attestation
 * document's user data, in every signature and every sealed record. Public keys only.
 */
export interface Genesis {
  /** For people; 1..64 characters of a-z, 0-9, '-'. */
  readonly name: string;
  /** The id begins with the tag of the class; only builds of this class join. */
  readonly class: NetworkClass;
  /** SHA-256 of the DER of the attestation root; must be the one that the build of the class pins. */
  readonly attestationRoot: Digest;
  readonly gateway: GatewayAnchor;
  /** The keys that sign configuration 0. */
  readonly governance: Governance;
  /** What widens trust counts this many blocks after its configuration is active. */
  readonly measurementDelayBlocks: number;
  readonly rpc: RpcSet;
}

/** Where the gateway lives. A network without one names zeros for chain, registry and code hash. */
export interface GatewayAnchor {
  readonly chainId: bigint;
  /** 20 bytes. */
  readonly registry: Uint8Array;
  /** keccak-256 of the registry's runtime code. */
  readonly registryCodeHash: Digest;
  readonly finality: Finality;
}

const FORMAT = 1;
const DOMAIN = utf8('kms/v1/genesis');
const REGISTRY_BYTES = 20;
export const MAX_GENESIS_BYTES = 32 * 1024;

export const NO_GATEWAY: GatewayAnchor = {
  chainId: 0n,
  registry: new Uint8Array(REGISTRY_BYTES),
  registryCodeHash: NO_DIGEST,
  finality: { kind: 'finalized' },
};

const gateway: Codec<GatewayAnchor> = struct({
  chainId: u64,
  registry: fixedBytes(REGISTRY_BYTES),
  registryCodeHash: digest32,
  finality: finalityCodec,
});

const layout: Codec<{ readonly format: number } & Genesis> = struct({
  format: u8,
  name: text(64),
  class: networkClass,
  attestationRoot: digest32,
  gateway,
  governance: governanceCodec,
  measurementDelayBlocks: u32,
  rpc: rpcSetCodec,
});

/** The one encoding of a valid genesis. @throws {KmsError} BAD_GENESIS */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  try {
    checkGenesis(genesis);
    return encode(layout, { format: FORMAT, ...genesis });
  } catch (error) {
    throw badGenesis(error);
  }
}

/** @throws {KmsError} BAD_GENESIS for anything but the encoding of a valid genesis */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  try {
    if (bytes.length > MAX_GENESIS_BYTES) throw new KmsError('BAD_ENCODING', 'too large');
    const { format, ...genesis } = decode(layout, bytes);
    if (format !== FORMAT) throw new KmsError('BAD_ENCODING', `genesis format ${format} is not supported`);
    checkGenesis(genesis);
    return genesis;
  } catch (error) {
    throw badGenesis(error);
  }
}

/**
 * SHA-256 of the domain and the canonical bytes, its first 4 bytes replaced by the tag of the class.
 * @throws {KmsError} BAD_GENESIS
 */
export function networkIdOf(hashes: Hashes, genesis: Genesis): Digest {
  const hash = hashes.sha256(DOMAIN, encodeGenesis(genesis));
  return digest(toHex(concat(tagOf(genesis.class), hash.subarray(TAG_BYTES))));
}

export function hasGateway({ gateway: { chainId } }: Genesis): boolean {
  return chainId !== 0n;
}

function checkGenesis(genesis: Genesis): void {
  if (!/^[a-z0-9-]{1,64}$/.test(genesis.name)) {
    throw new KmsError('BAD_INPUT', 'a network name is 1..64 characters of a-z, 0-9 and -');
  }
  if (genesis.attestationRoot === NO_DIGEST) {
    throw new KmsError('BAD_INPUT', 'a network names its attestation root');
  }
  checkGateway(genesis.gateway);
  // Without one nobody could ask its nodes for anything.
  if (genesis.class === 'production' && !hasGateway(genesis)) {
    throw new KmsError('BAD_INPUT', 'a production network has a gateway, which orders every operation');
  }
  checkGovernance(genesis.governance);
  checkRpcSet(genesis.rpc, hasGateway(genesis));
}

function checkGateway({ chainId, registry, registryCodeHash, finality }: GatewayAnchor): void {
  const named = [chainId !== 0n, registry.some((byte) => byte !== 0), registryCodeHash !== NO_DIGEST];
  if (new Set(named).size !== 1) {
    throw new KmsError('BAD_INPUT', 'a gateway is its chain, registry and code hash: all of them, or none');
  }
  checkFinality(finality);
}

function badGenesis(cause: unknown): KmsError {
  if (cause instanceof KmsError && cause.code === 'BAD_GENESIS') return cause;
  const reason = cause instanceof Error ? cause.message : 'malformed';
  return new KmsError('BAD_GENESIS', `this is not a network's genesis: ${reason}`, { cause });
}
