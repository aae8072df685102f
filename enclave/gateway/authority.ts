import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../shared/errors.ts';
import { type Claim, type Permission, permit } from '../../shared/gateway/policy/claim.ts';
import { decodeClaim } from '../../shared/gateway/policy/claim-codec.ts';
import type { KnownHead, KnownKey, PolicyContext } from '../../shared/gateway/policy/context.ts';
import { type ChainEvidence, decodeEvidence } from '../../shared/gateway/proof/evidence.ts';
import { ProvenChain } from '../../shared/gateway/proof/proven-chain.ts';
import { type Digest, digest, type EpochId, type KeyId } from '../../shared/ids.ts';
import { MAX_HEAD_AGE_LIMIT_S } from '../../shared/network/chain-access.ts';
import type { GatewayAnchor } from '../../shared/network/genesis.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { AgreedHeads } from '../chains/agreed-heads.ts';

export interface AuthorityPorts {
  readonly networkId: Digest;
  readonly gateway: GatewayAnchor;
  readonly epoch: EpochId;
  readonly heads: Pick<AgreedHeads, 'agreedBlock' | 'head'>;
  /** Keys of which this node holds shares. */
  readonly keys: () => Promise<ReadonlyMap<KeyId, KnownKey>>;
  /** Enclave time. */
  readonly nowMs: () => number;
}

export interface Permitted {
  readonly claim: Claim;
  readonly permission: Permission;
}

/**
 * Turns what a parent brings into a permission, or refuses: the blocks are agreed by the chains' endpoints, the evidence is of these
 * blocks, and the policy (shared/gateway/policy) finds every fact in it.
 */
export class Authority {
  readonly #ports: AuthorityPorts;

  constructor(ports: AuthorityPorts) {
    this.#ports = ports;
  }

  /**
   * @param claim @param evidence both untrusted, canonical
   * @throws {KmsError} BAD_ENCODING, TOO_LARGE; STALE_HEAD for a block that is not agreed, UNAVAILABLE; as permit()
   */
  async permit(claim: Uint8Array, evidence: Uint8Array): Promise<Permitted> {
    const { gateway } = this.#ports;
    const decoded = decodeClaim(claim);
    const heads = new Map<bigint, KnownHead>();
    const proving = decodeEvidence(evidence).map(
      async (one) => [one.chainId, await this.#prove(one, heads)] as const,
    );
    const chains = new Map(await Promise.all(proving));
    const proven = chains.get(gateway.chainId);
    if (proven === undefined) throw new KmsError('NOT_PROVEN', 'the evidence has no gateway chain');
    const host = decoded.kind === 'command' ? undefined : chains.get(decoded.host.chainId);
    const permission = permit(await this.#context(heads), { gateway: proven, host }, decoded);
    return { claim: decoded, permission };
  }

  /** The block is checked before its proofs: those are the larger work. */
  async #prove(evidence: ChainEvidence, known: Map<bigint, KnownHead>): Promise<ProvenChain> {
    const { heads } = this.#ports;
    const { chainId, header } = evidence;
    const hash = keccak_256(header);
    const block = await heads.agreedBlock(chainId, digest(toHex(hash)));
    if (block === undefined) {
      throw new KmsError(
        'STALE_HEAD',
        `the evidence is not of a recent block of chain ${chainId}; prove the facts again`,
      );
    }
    const { number: newest } = await heads.head(chainId);
    // That no block counts which lies too far back is the heads' to see to: they keep a durable floor.
    known.set(chainId, { newest, accepted: 0n });
    return ProvenChain.open(evidence, { chainId, hash });
  }

  async #context(heads: ReadonlyMap<bigint, KnownHead>): Promise<PolicyContext> {
    const { networkId, gateway, epoch, keys, nowMs } = this.#ports;
    return {
      ...{ networkId, heads, epoch: BigInt(epoch), keys: await keys() },
      gateway: {
        chainId: gateway.chainId,
        registry: gateway.registry,
        registryCodeHash: fromHex(gateway.registryCodeHash),
        confirmations: 1n,
      },
      nowS: BigInt(Math.floor(nowMs() / 1000)),
      // Each chain's own limit is the heads' to keep.
      maxHeadAgeS: BigInt(MAX_HEAD_AGE_LIMIT_S),
    };
  }
}
