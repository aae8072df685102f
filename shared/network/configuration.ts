import type { Digest, EpochId, PartyId } from '../ids.ts';
import type { Governance, RpcEndpoint } from './genesis.ts';

/** Platform configuration registers of an allowed enclave image; 48 bytes each, never all zero. */
export interface Measurement {
  readonly pcr0: Uint8Array;
  readonly pcr1: Uint8Array;
  readonly pcr2: Uint8Array;
  /** Hash of the signing certificate, when the image is signed. */
  readonly pcr8?: Uint8Array;
}

/** One member: its Shamir x-coordinate, its Ed25519 identity key and where its parent listens. */
export interface Member {
  readonly party: PartyId;
  /** 32 bytes */
  readonly identity: Uint8Array;
  /** `host:port` (shared/address.ts) */
  readonly address: string;
}

/**
 * Numbered state of a network: committee, allowed measurements, endpoints, custodians. Signed by 2t+1 operator governance
 * keys of its predecessor (of genesis for number 0); an enclave accepts only an unbroken chain from genesis.
 */
export interface Configuration {
  readonly number: number;
  readonly networkId: Digest;
  /** Digest of the predecessor; of nothing (NO_DIGEST) for number 0. */
  readonly predecessor: Digest;
  readonly epoch: EpochId;
  readonly t: number;
  /** Parties 1..n in order. */
  readonly members: readonly Member[];
  /** Never empty. */
  readonly measurements: readonly Measurement[];
  /** From this block on the configuration is valid; its predecessor stays valid until overlapUntilBlock. */
  readonly activationBlock: number;
  readonly overlapUntilBlock: number;
  readonly governance: Governance;
  readonly rpc: { readonly k: number; readonly endpoints: readonly RpcEndpoint[] };
  /** Custodians' X-Wing keys by hash; empty until custody exists. */
  readonly custodians: readonly Digest[];
}

/** Indices into the signing governance's keys, ascending, with Ed25519 signatures. */
export interface SignedConfiguration {
  readonly configuration: Configuration;
  readonly signatures: readonly { readonly key: number; readonly signature: Uint8Array }[];
}
