import type { Preset } from '../../fhe/presets.ts';
import type { Digest, KeyId } from '../../ids.ts';

/** What a node knows by itself, and what every fact of a chain is held against. */
export interface PolicyContext {
  /** Hash of genesis. */
  readonly networkId: Digest;
  /** From genesis. */
  readonly gateway: TrustedGateway;
  /** Of the committee that this node acts for. */
  readonly epoch: bigint;
  readonly keys: ReadonlyMap<KeyId, KnownKey>;
  /** Enclave time, Unix, seconds. */
  readonly nowS: bigint;
  /** Older blocks show nothing about the present. */
  readonly maxHeadAgeS: bigint;
  /** By chain id; a chain that is not here is not believed. */
  readonly heads: ReadonlyMap<bigint, KnownHead>;
}

export interface TrustedGateway {
  readonly chainId: bigint;
  /** 20 bytes. */
  readonly registry: Uint8Array;
  /** keccak-256 of the registry's runtime code. */
  readonly registryCodeHash: Uint8Array;
  /** As HostChain.confirmations; 1 where `newest` is the newest final block. */
  readonly confirmations: bigint;
}

/** A key of which the node holds shares. */
export interface KnownKey {
  readonly preset: Preset;
  /** What the node itself last carried out, by KeyStates' numbers. */
  readonly state: number;
}

/** What is known of a chain's length. */
export interface KnownHead {
  /** Number of the newest block that k of m endpoints name. */
  readonly newest: bigint;
  /** Number of the newest block on which this node ever acted: older ones would revive what was revoked since. */
  readonly accepted: bigint;
}

/** The blocks on which a permission rests; the caller makes them the accepted ones. */
export interface PermissionBlocks {
  readonly gateway: bigint;
  /** Absent for commands, which concern no host chain. */
  readonly host?: bigint;
}
