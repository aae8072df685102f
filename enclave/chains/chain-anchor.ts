import { anchorCommitment, type NodeAnchor, nodeAnchor } from '../../shared/gateway/node-anchor.ts';
import { anchorSlot, anchorVersionSlot, plainSlot, slotNumbers } from '../../shared/gateway/slots.ts';
import { numberOf } from '../../shared/gateway/word.ts';
import type { EpochId } from '../../shared/ids.ts';
import type { Anchor, AnchoredState } from '../../shared/sealing/anchor.ts';
import type { GatewayRegistry } from './gateway-registry.ts';

/** Committees.NO_EPOCH: no epoch is active yet. */
const NO_EPOCH = (1n << 64n) - 1n;

export interface ChainAnchorOptions {
  readonly registry: Pick<GatewayRegistry, 'words'>;
  /** Of the node, 32 bytes. */
  readonly identity: Uint8Array;
  readonly epoch: EpochId;
}

/** What the registry on the gateway chain remembers of a node. */
export class ChainAnchor implements Anchor {
  readonly #options: ChainAnchorOptions;

  constructor(options: ChainAnchorOptions) {
    this.#options = options;
  }

  /** @throws {KmsError} as GatewayRegistry.words() */
  async newest(): Promise<AnchoredState> {
    const { registry, identity, epoch } = this.#options;
    const slots = [
      anchorVersionSlot(identity),
      anchorSlot(identity),
      plainSlot(slotNumbers.Registry.currentEpoch),
    ];
    const [anchored = 0n, commitment, active = NO_EPOCH] = await registry.words(slots);
    const version = Number(anchored);
    const isCommitted = (state: NodeAnchor): boolean => numberOf(anchorCommitment(state)) === commitment;
    return {
      version,
      is: (digest) => isCommitted(nodeAnchor(identity, { version, digest })),
      isEarly: active === NO_EPOCH || active < BigInt(epoch),
    };
  }
}
