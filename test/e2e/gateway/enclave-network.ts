import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex, type Hex, hexToBytes, keccak256, toHex } from 'viem';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import type { Deployed, LocalAccount } from '../../../infra/local/chains/account.ts';
import { type LocalChains, startChains } from '../../../infra/local/chains/chains.ts';
import { foundGateway, type ProposedNode } from '../../../infra/local/chains/gateway.ts';
import { deployHost, type LocalHost } from '../../../infra/local/chains/host.ts';
import { TlsFront } from '../../../infra/local/chains/tls-front.ts';
import type { GatewayContracts, HostChain } from '../../../shared/gateway/network-commitments.ts';
import { type Claim, evidenceFor } from '../../../shared/gateway/policy/claim.ts';
import { encodeClaim } from '../../../shared/gateway/policy/claim-codec.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import { type ChainEvidence, encodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { headerFromRpc, proofFromRpc } from '../../../shared/gateway/proof/rpc.ts';
import { addressOf } from '../../../shared/gateway/signature.ts';
import { digest } from '../../../shared/ids.ts';
import { type Enrolment, enrolmentCodec } from '../../../shared/membership/enrolment.ts';
import { nodeEnrolment, packedSignatures } from '../../../shared/membership/node-enrolment.ts';
import { decode } from '../../../shared/wire/codec.ts';
import { allIn, eventually, LiveNodes, type LiveOptions } from '../../adversary/membership/live-nodes.ts';
import { mockGenesis, operators } from '../../simulator/network.ts';
import { bytesOf } from './founded.ts';
import { rpc } from './played-network.ts';

/** Secret of the one who may bring inputs. */
export const SUBMITTER: Uint8Array = keccak256(toHex('submitter'), 'bytes');

/** Three fronts for each chain; the second of each lies all the time. */
const FRONTS = 3;

/**
 * Live nodes on a gateway and two host chains of this machine: enrolled on chain, one of each chain's three endpoints lying. What a
 * connector does, the test does.
 */
export class EnclaveNetwork implements AsyncDisposable {
  readonly chains: LocalChains;
  readonly nodes: LiveNodes;
  readonly fronts: ReadonlyMap<number, readonly TlsFront[]>;
  readonly contracts: GatewayContracts;
  hosts: readonly LocalHost[] = [];
  hostChains: readonly HostChain[] = [];

  private constructor(
    chains: LocalChains,
    nodes: LiveNodes,
    fronts: ReadonlyMap<number, readonly TlsFront[]>,
    contracts: GatewayContracts,
  ) {
    this.chains = chains;
    this.nodes = nodes;
    this.fronts = fronts;
    this.contracts = contracts;
  }

  /** @param options of every node */
  static async start(options: LiveOptions = {}): Promise<EnclaveNetwork> {
    const chains = await startChains();
    const { gateway } = chains;
    const fronts = new Map<number, readonly TlsFront[]>();
    for (const { chainId, url } of [gateway.chain, ...chains.hosts]) {
      const all = await Promise.all(Array.from({ length: FRONTS }, () => TlsFront.open(url)));
      all[1]!.fault = { kind: 'false hashes' };
      fronts.set(chainId, all);
    }
    const rpcOf = (chainId: number) => ({
      k: 2,
      endpoints: fronts.get(chainId)!.map(({ endpoint }) => endpoint),
    });
    const genesis = mockGenesis(operators(4), {
      gateway: {
        chainId: BigInt(gateway.chain.chainId),
        registry: hexToBytes(gateway.registry.address),
        registryCodeHash: digest(gateway.registryCodeHash.slice(2)),
        finality: { kind: 'finalized' },
      },
      measurementDelayBlocks: 1_000_000,
      rpc: rpcOf(gateway.chain.chainId),
    });
    const nodes = await LiveNodes.start(new Map([1, 2, 3, 4].map((party) => [party, options])), {
      genesis,
      headPollMs: 200,
      reachable: [...fronts.values()].flat().map(({ address }) => address),
      founding: {
        hosts: chains.hosts.map(({ chainId }) => ({
          chainId: BigInt(chainId),
          finality: { kind: 'finalized' },
          maxHeadAgeS: 120,
          rpc: rpcOf(chainId),
        })),
      },
    });
    const [reader] = gateway.operators;
    const codeHash = async ({ address }: Deployed): Promise<Uint8Array> =>
      keccak256((await reader!.client.getCode({ address })) ?? '0x', 'bytes');
    const network = new EnclaveNetwork(chains, nodes, fronts, {
      keys: hexToBytes(gateway.keys.address),
      ciphertexts: hexToBytes(gateway.ciphertexts.address),
      decryptions: hexToBytes(gateway.decryptions.address),
      keysCodeHash: await codeHash(gateway.keys),
      ciphertextsCodeHash: await codeHash(gateway.ciphertexts),
      decryptionsCodeHash: await codeHash(gateway.decryptions),
    });
    await network.#enrol();
    return network;
  }

  /** An account of the gateway chain that is nobody's operator. */
  get relayer(): LocalAccount {
    return this.chains.gateway.operators[3]!;
  }

  /** All chains go forward in time. */
  async travel(seconds: number): Promise<void> {
    for (const chain of [this.chains.gateway.chain, ...this.chains.hosts]) {
      await rpc(chain, 'evm_increaseTime', seconds);
      await rpc(chain, 'evm_mine');
    }
  }

  /** What a parent hands to its enclave, proven at the newest blocks. */
  async request(claim: Claim): Promise<{ readonly claim: Uint8Array; readonly evidence: Uint8Array }> {
    const { gateway } = this.chains;
    const where = { chainId: BigInt(gateway.chain.chainId), registry: hexToBytes(gateway.registry.address) };
    const needed = evidenceFor(where, claim);
    const readers = new Map([
      [BigInt(gateway.chain.chainId), this.relayer],
      ...this.hosts.map(({ chain, deployer }) => [BigInt(chain.chainId), deployer] as const),
    ]);
    const evidence: ChainEvidence[] = [];
    for (const chainId of [...new Set(needed.map((one) => one.chainId))].sort((a, b) => Number(a - b))) {
      const { client } = readers.get(chainId)!;
      const block = await client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] });
      if (block?.number == null) throw new Error('no block');
      const { number } = block;
      const proofs = await Promise.all(
        needed
          .filter((one) => one.chainId === chainId)
          .map(({ address, slots }) => {
            const of = slots.map((slot) => bytesToHex(slot));
            return client.request({ method: 'eth_getProof', params: [bytesToHex(address), of, number] });
          }),
      );
      evidence.push(assembleEvidence(chainId, headerFromRpc(block), proofs.map(proofFromRpc)));
    }
    return { claim: encodeClaim(claim), evidence: encodeEvidence(evidence) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes.closeAll();
    for (const front of [...this.fronts.values()].flat()) await front[Symbol.asyncDispose]();
    await this.chains[Symbol.asyncDispose]();
  }

  /** As soon as the nodes have enrolled each other: on chain, and the host chains know their signers. */
  async #enrol(): Promise<void> {
    const { gateway } = this.chains;
    await allIn('ready', this.nodes.all);
    await eventually(async () => (await this.#enrolments()).length === this.nodes.all.length);
    const all = await this.#enrolments();
    const { networkId, newest } = this.nodes.chain;
    await foundGateway(
      gateway,
      `0x${networkId}`,
      `0x${newest.digest}`,
      1,
      all.map((one) => this.#proposed(one)),
    );
    for (const one of all) {
      const args = [hexOf(one.statement), bytesToHex(packedSignatures(one))];
      await this.relayer.send({ to: gateway.registry, name: 'enrol', args });
    }
    const signers = all.map(({ statement }) => bytesToHex(addressOf(statement.signer)));
    const submitter = bytesToHex(addressOf(secp256k1.getPublicKey(SUBMITTER)));
    const hosts: LocalHost[] = [];
    for (const chain of this.chains.hosts) {
      hosts.push(await deployHost(chain, gateway, { epoch: 0n, t: 1, signers }, [submitter]));
    }
    this.hosts = hosts;
    const known = hosts.map(({ chain }) =>
      this.relayer.read({ to: gateway.registry, name: 'hostChain', args: [BigInt(chain.chainId)] }),
    );
    this.hostChains = (await Promise.all(known)).map((one) => bytesOf(one) as HostChain);
  }

  async #enrolments(): Promise<readonly Enrolment[]> {
    const all = await Promise.all(this.nodes.all.map(({ node }) => node.describe()));
    return all.flatMap(({ enrolment }) =>
      enrolment === undefined ? [] : [decode(enrolmentCodec, enrolment)],
    );
  }

  #proposed({ statement }: Enrolment): ProposedNode {
    const { signer, identity, tlsRoot, measurement, party } = hexOf(statement);
    return {
      ...{
        sender: this.chains.gateway.operators[party - 1]!.address,
        signer,
        identity,
        tlsRoot,
        measurement,
      },
      ...{ epochKey: identity, endpoint: this.nodes.all[party - 1]!.address },
      ...{ organisation: `organisation ${party}`, cloudAccount: `account ${party}`, region: 'region' },
    };
  }
}

function hexOf(statement: Enrolment['statement']) {
  const { epoch, party, ...rest } = nodeEnrolment(nodePrimitives, statement);
  const hex = (bytes: Uint8Array): Hex => bytesToHex(bytes);
  return {
    ...{ epoch, party, signer: hex(rest.signer), identity: hex(rest.identity), tlsRoot: hex(rest.tlsRoot) },
    ...{ measurement: hex(rest.measurement), document: hex(rest.document) },
  };
}
