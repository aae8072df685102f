import type { Digest } from '../ids.ts';

/** One JSON-RPC endpoint of the gateway chain and the SHA-256 pins of the public keys its TLS may show. */
export interface RpcEndpoint {
  readonly url: string;
  readonly spkiPins: readonly Digest[];
}

/**
 * What a network is, for ever (decision 0004). Its hash is the network id, which is in PCR16, in every attestation
 * document's user data, in every signature and every sealed record. Public keys only.
 */
export interface Genesis {
  /** For people; 1..64 characters of a-z, 0-9, '-'. */
  readonly name: string;
  /** A mock network's id begins with the bytes "mock"; only mock builds join it, only they. */
  readonly isMock: boolean;
  /** SHA-256 of the DER of the attestation root that this network's members chain to. */
  readonly attestationRoot: Digest;
  readonly gateway: GatewayAnchor;
  /** First operator governance keys: Ed25519, offline, never an enclave's. 3t+1 or more, 2t+1 sign. */
  readonly governance: Governance;
  /** A new measurement counts this many blocks after its configuration is active. */
  readonly measurementDelayBlocks: number;
  /** k endpoints of `rpc` must agree on a header, k > m/2. */
  readonly rpc: { readonly k: number; readonly endpoints: readonly RpcEndpoint[] };
}

/** Where the gateway lives. Until it exists a network names zeros here. */
export interface GatewayAnchor {
  readonly chainId: bigint;
  /** 20 bytes. */
  readonly registry: Uint8Array;
  /** keccak-256 of the registry's runtime code. */
  readonly registryCodeHash: Digest;
  /** `finalized` or a number of confirmations. */
  readonly finality: { readonly kind: 'finalized' } | { readonly kind: 'depth'; readonly blocks: number };
}

/** Operator governance keys and how many of them must sign: 2t+1 of n >= 3t+1. */
export interface Governance {
  readonly keys: readonly Uint8Array[];
  readonly quorum: number;
}
