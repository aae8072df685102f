import type { Digest, EpochId, KeyId, PartyId } from '../shared/ids.ts';
import type { SignedAnchor } from './gateway/anchor-desk.ts';
import type { BatchRequest } from './gateway/batch-desk.ts';
import type { CommandProgress, CommandRequest } from './gateway/command-desk.ts';
import type { GatewayAnswer, GatewayRequest } from './gateway/gateway-desk.ts';
import type { PartyWord } from './gateway/signature-pool.ts';

/** What a node says about itself. Before it has joined: phase, identity, and nothing else that means anything. */
export interface NodeDescription {
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  /** Ed25519 public key that speaks for the node while its identity is sealed, 32 bytes. */
  readonly bootKey: Uint8Array;
  /** Undefined before the node has joined. */
  readonly network: JoinedNetwork | undefined;
  readonly connectedPeers: readonly PartyId[];
  readonly keyIds: readonly KeyId[];
  readonly phase: string;
  /** Why the node does not go on by itself, in words for its operator. */
  readonly reason?: string | undefined;
  /** Canonical enrolment of its result signer (shared/membership/enrolment.ts), once there is one. */
  readonly enrolment?: Uint8Array | undefined;
}

export interface JoinedNetwork {
  readonly id: Digest;
  readonly party: PartyId;
  readonly epoch: EpochId;
  /** The newest configuration that the node has accepted. */
  readonly configuration: { readonly number: number; readonly digest: Digest };
}

export interface JoinRequest {
  /** Canonical. */
  readonly genesis: Uint8Array;
  /** Canonical, 0, 1, 2, ...; to a member also later ones only. */
  readonly configurations: readonly Uint8Array[];
  /** Which member this process is a later life of; undefined for a new one, whose identity tells. */
  readonly party?: PartyId | undefined;
}

/**
 * What a node does for clients; the composition root implements it, api-server.ts serves it. Sizes are already checked;
 * contents are not. Every method may throw a KmsError: code, culprits and missing parties reach the client, the message
 * does not. `signal` aborts when the client has gone: it ends the waiting, never a protocol that other parties run.
 */
export interface NodeApi {
  describe(): Promise<NodeDescription>;
  /**
   * Canonical genesis and configurations 0, 1, 2, ...; afterwards the same genesis with any later ones. What is known is
   * answered as before. @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION, BAD_SIGNATURE, CONFLICT; KMS_REFUSED, KMS_POLICY,
   *   KMS_UNAVAILABLE, STORE_FAILED: its storage cannot be opened
   */
  join(request: JoinRequest): Promise<JoinedNetwork>;
  listKeys(): Promise<readonly KeyId[]>;
  /** Canonical bytes of the certified public record. @throws {KmsError} UNKNOWN_KEY */
  getKey(keyId: KeyId, signal: AbortSignal): Promise<Uint8Array>;
  /** What the gateway asks of the committee, proven. In networks without a gateway: BAD_INPUT. */
  answer(request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer>;
  /** Many public results under one signature of each member, all of which this node has answered before. */
  signBatch(request: BatchRequest, signal: AbortSignal): Promise<readonly PartyWord[]>;
  /** Its newest state that has taken effect, for the registry. @throws {KmsError} UNAVAILABLE before there is one */
  signAnchor(): Promise<SignedAnchor>;
  /** What operators commanded on the gateway, proven. */
  carryOut(request: CommandRequest, signal: AbortSignal): AsyncIterable<CommandProgress>;
}

export const MAX_ENVELOPE_BYTES = 8 * 2 ** 20;
export const USER_KEY_BYTES = 1216;
