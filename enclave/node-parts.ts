import type { Duplex } from 'node:stream';
import type { AttestationRoot } from '../shared/attestation/root.ts';
import type { Digest, PartyId } from '../shared/ids.ts';
import type { Link } from '../shared/link.ts';
import type { Log } from '../shared/log.ts';
import type { Kernel } from '../shared/math/kernel/kernel.ts';
import type { ChainHead } from '../shared/network/chain-head.ts';
import type { Measurement } from '../shared/network/measurement.ts';
import type { Storage } from '../shared/network/storage.ts';
import type { Primitives, Rng } from '../shared/primitives.ts';
import type { Build } from './configurations.ts';
import type { DecryptorFactory } from './key-ring.ts';
import type { Work } from './member.ts';
import type { Service } from './membership/phases.ts';
import type { StandingTiming } from './membership/standing.ts';
import type { FurtherRoutes } from './net/api-server.ts';
import type { Nsm } from './nsm/nsm.ts';
import type { Cloud, SuccessorKeys } from './sealing/cloud.ts';

/** Whose storage is to be opened. */
export interface CloudPlace {
  readonly storage: Storage;
  readonly networkId: Digest;
  readonly party: PartyId;
}

/** What a node is made of; the composition root (boot.ts) gives it. */
export interface NodeParts {
  readonly build: Build;
  /** Of the build (`#roots`): they vouch for the peers. */
  readonly roots: readonly AttestationRoot[];
  /** In networks without a gateway; undefined: no chain to ask (shared/network/chain-head.ts). */
  readonly head: ChainHead | undefined;
  readonly nsm: Nsm;
  /** Opens the storage that a configuration names; PCR16 is bound to the network by then. @throws {KmsError} */
  readonly openCloud: (place: CloudPlace) => Promise<Cloud>;
  /**
   * The KMS key that a later configuration names, for its images. @param measurements that it allows
   * @throws {KmsError} KMS_POLICY, KMS_REFUSED, KMS_UNAVAILABLE
   */
  readonly openSuccessor: (place: CloudPlace, measurements: readonly Measurement[]) => Promise<SuccessorKeys>;
  readonly link: Link<Duplex>;
  readonly primitives: Primitives;
  readonly rng: Rng;
  readonly kernel: Kernel;
  /** Enclave time, Unix (membership/clock.ts). */
  readonly nowMs: () => number;
  readonly log: Log;
  /** Round length of synchronous setups: network bound plus clock error. */
  readonly roundMs: number;
  readonly openingMs: number;
  /** A later boot of this identity is alive: the process has to end. */
  readonly onSuperseded?: () => void;
  readonly timing?: StandingTiming;
  /** How often the gateway chain is asked without a reason. */
  readonly headPollMs?: number;
  /** Where a key's share comes from; a lying one exists in tests only. */
  readonly makeDecryptor?: DecryptorFactory;
  /**
   * Services beside NodeService, on a node's work; they exist in tests only: the entry points of the product give none.
   * @param serving throws UNAVAILABLE or CONFLICT if the phase does not serve this
   */
  readonly furtherRoutes?: (serving: (service: Service) => Work) => FurtherRoutes;
}
