import { anchorCommitment, type NodeAnchor, nodeAnchor } from '../../shared/gateway/node-anchor.ts';
import { anchorSlot, anchorVersionSlot, plainSlot, slotNumbers } from '../../shared/gateway/slots.ts';
import { numberOf } from '../../shared/gateway/word.ts';
import type { EpochId } from '../../shared/ids.ts';
import type { GatewayAnchor } from '../../shared/network/genesis.ts';
import type { Anchor, AnchoredState } from '../../shared/sealing/anchor.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import type { AgreedHeads } from './agreed-heads.ts';

/** Committees.NO_EPOCH: no epoch is active yet. */
const NO_EPOCH = (1n << 64n) - 1n;

export interface ChainAnchorOptions {
  readonly heads: Pick<AgreedHeads, 'chain'>;
  readonly gateway: GatewayAnchor;
  /** Of the node, 32 bytes. */
  readonly identity: Uint8Array;
  readonly epoch: EpochId;
}

/** What the registry on the gateway chain remembers of a node, proven at the newest block that is agreed on. */
export class ChainAnchor implements Anchor {
  readonly #options: ChainAnchorOptions;

  constructor(options: ChainAnchorOptions) {
    this.#options = options;
  }

  /** @throws {KmsError} NOT_PROVEN for another contract than genesis'; as AgreedChain.prove() */
  async newest(): Promise<AnchoredState> {
    const { heads, gateway, identity, epoch } = this.#options;
    const { chainId, registry: address, registryCodeHash } = gateway;
    const at = {
      version: anchorVersionSlot(identity),
      commitment: anchorSlot(identity),
      epoch: plainSlot(slotNumbers.Registry.currentEpoch),
    };
    const chain = await heads.chain(chainId);
    const proven = await chain.prove({ address, slots: Object.values(at) });
    const word = (slot: Uint8Array): bigint => proven.word(address, fromHex(registryCodeHash), slot);
    const active = word(at.epoch);
    const version = Number(word(at.version));
    const commitment = word(at.commitment);
    const isCommitted = (state: NodeAnchor): boolean => numberOf(anchorCommitment(state)) === commitment;
    return {
      version,
      is: (digest) => isCommitted(nodeAnchor(identity, { version, digest })),
      isEarly: active === NO_EPOCH || active < BigInt(epoch),
    };
  }
}
