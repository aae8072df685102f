import { KmsError } from '../../errors.ts';
import { fromHex } from '../../wire/bytes.ts';
import {
  contractsCommitment,
  type GatewayContracts,
  type HostChain,
  hostChainCommitment,
  type MemberNode,
  memberCommitment,
} from '../network-commitments.ts';
import type { ProvenChain } from '../proof/proven-chain.ts';
import { enrolmentSlot, hostChainSlot, memberSlot, plainSlot, slotNumbers } from '../slots.ts';
import { numberOf } from '../word.ts';
import type { PolicyContext } from './context.ts';
import { requireHead } from './head.ts';

/** The gateway at one block: its registry is genesis', its other contracts are the registry's. */
export class GatewayState {
  readonly #chain: ProvenChain;
  readonly #contracts: GatewayContracts;
  readonly #registry: Uint8Array;
  readonly #registryCodeHash: Uint8Array;

  private constructor(context: PolicyContext, chain: ProvenChain, contracts: GatewayContracts) {
    this.#chain = chain;
    this.#contracts = contracts;
    this.#registry = context.gateway.registry;
    this.#registryCodeHash = context.gateway.registryCodeHash;
  }

  /**
   * @param contracts untrusted
   * @throws {KmsError} NOT_PROVEN for another chain, registry, network or contracts, STALE_HEAD
   */
  static prove(context: PolicyContext, chain: ProvenChain, contracts: GatewayContracts): GatewayState {
    const { chainId, confirmations } = context.gateway;
    if (chain.chainId !== chainId) throw new KmsError('NOT_PROVEN', `the gateway is on chain ${chainId}`);
    requireHead(context, chain, confirmations);
    const state = new GatewayState(context, chain, contracts);
    const network = state.registry(plainSlot(slotNumbers.Registry.networkId));
    if (network !== numberOf(fromHex(context.networkId))) {
      throw new KmsError('NOT_PROVEN', 'the registry is of another network');
    }
    const known = state.registry(plainSlot(slotNumbers.Registry.contractsHash));
    requireCommitment(known, contractsCommitment(contracts), 'these contracts of the network');
    return state;
  }

  get block(): bigint {
    return this.#chain.header.number;
  }

  /** Of the block, Unix, seconds: what expires on the gateway expires against this. */
  get timestamp(): bigint {
    return this.#chain.header.timestamp;
  }

  /** 2^64-1 before epoch 0. */
  get epoch(): bigint {
    return this.registry(plainSlot(slotNumbers.Registry.currentEpoch));
  }

  /** @throws {KmsError} NOT_PROVEN, as the three below */
  registry(slot: Uint8Array): bigint {
    return this.#chain.word(this.#registry, this.#registryCodeHash, slot);
  }

  keys(slot: Uint8Array): bigint {
    return this.#chain.word(this.#contracts.keys, this.#contracts.keysCodeHash, slot);
  }

  ciphertexts(slot: Uint8Array): bigint {
    return this.#chain.word(this.#contracts.ciphertexts, this.#contracts.ciphertextsCodeHash, slot);
  }

  decryptions(slot: Uint8Array): bigint {
    return this.#chain.word(this.#contracts.decryptions, this.#contracts.decryptionsCodeHash, slot);
  }
}

/** A host chain at one block, with the contracts that the registry names for it. */
export class HostState {
  readonly host: HostChain;
  readonly #chain: ProvenChain;

  private constructor(host: HostChain, chain: ProvenChain) {
    this.host = host;
    this.#chain = chain;
  }

  /**
   * @param host untrusted
   * @throws {KmsError} NOT_PROVEN for fields that are not the registry's or evidence of another chain, STALE_HEAD
   */
  static prove(
    context: PolicyContext,
    gateway: GatewayState,
    chain: ProvenChain,
    host: HostChain,
  ): HostState {
    requireCommitment(
      gateway.registry(hostChainSlot(host.chainId)),
      hostChainCommitment(host),
      `this host chain ${host.chainId}`,
    );
    if (chain.chainId !== host.chainId) {
      throw new KmsError('NOT_PROVEN', `the evidence is of chain ${chain.chainId}, not ${host.chainId}`);
    }
    requireHead(context, chain, host.confirmations);
    return new HostState(host, chain);
  }

  get block(): bigint {
    return this.#chain.header.number;
  }

  /** @throws {KmsError} NOT_PROVEN, as the two below */
  accessControl(slot: Uint8Array): bigint {
    return this.#chain.word(this.host.accessControl, this.host.accessControlCodeHash, slot);
  }

  compute(slot: Uint8Array): bigint {
    return this.#chain.word(this.host.compute, this.host.computeCodeHash, slot);
  }

  oracle(slot: Uint8Array): bigint {
    return this.#chain.word(this.host.oracle, this.host.oracleCodeHash, slot);
  }
}

/**
 * An enrolled member of an epoch: whose signatures count, and where it is reached.
 * @param member untrusted
 * @throws {KmsError} NOT_PROVEN, also for a member that is proposed and not enrolled
 */
export function provenMember(
  gateway: GatewayState,
  epoch: bigint,
  party: number,
  member: MemberNode,
): MemberNode {
  const known = gateway.registry(memberSlot(epoch, party));
  requireCommitment(known, memberCommitment(member), `this member ${party} of epoch ${epoch}`);
  if (gateway.registry(enrolmentSlot(epoch, party)) === 0n) {
    throw new KmsError('NOT_PROVEN', `member ${party} of epoch ${epoch} is not enrolled`);
  }
  return member;
}

/** The chain's word is the hash of these fields. @throws {KmsError} NOT_PROVEN */
export function requireCommitment(word: bigint, commitment: Uint8Array, what: string): void {
  if (word !== numberOf(commitment)) throw new KmsError('NOT_PROVEN', `the chain does not hold ${what}`);
}
