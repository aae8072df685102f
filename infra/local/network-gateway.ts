import { join } from 'node:path';
import { bytesToHex, getAddress, hexToBytes } from 'viem';
import { codeOf, KmsError } from '../../shared/errors.ts';
import { digest } from '../../shared/ids.ts';
import type { Enrolment } from '../../shared/membership/enrolment.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import type { ChainAccess } from '../../shared/network/chain-access.ts';
import { MAX_HEAD_AGE_S } from '../../shared/network/chain-head.ts';
import { type Deployed, LocalAccount } from './chains/account.ts';
import { SUBMITTER, senderOf } from './chains/accounts.ts';
import { ChainProcesses, placeOfChain } from './chains/chain-processes.ts';
import { CHAINS_DIRECTORY, type ChainState, everyChain, withChain } from './chains/chains-state.ts';
import { currentEpoch, enrol, firstCommittee, proposedNode } from './chains/enrolment.ts';
import {
  deployGateway,
  foundGateway,
  type LocalGateway,
  openGateway,
  publishConfigurations,
} from './chains/gateway.ts';
import { deployHost, type LocalHost, openHost } from './chains/host.ts';
import { accountOf, REGION } from './cloud.ts';
import type { FoundedGateway } from './founding.ts';
import { writeAccountFile, writePeoplesFiles } from './programs/account-files.ts';
import { writeGatewayFile } from './programs/gateway-file.ts';
import { connectorSection } from './programs/program-config.ts';
import { ProgramProcesses, type ProgramsRecord } from './programs/program-processes.ts';

export interface ChainStatus {
  readonly chainId: number;
  readonly role: 'gateway' | 'host';
  /** Plain HTTP, for programs that are no enclaves. */
  readonly url: string;
  /** Undefined if the chain does not answer. */
  readonly block: number | undefined;
  /** Addresses by name, lower case. */
  readonly contracts: Readonly<Record<string, string>>;
}

/**
 * The gateway of a local network and its host chains, from nothing to an active epoch, and the programs around them. Each step looks
 * at what the chains have: whoever is broken off anywhere is followed by one who goes on.
 */
export class NetworkGateway {
  readonly programs: ProgramProcesses;
  readonly #directory: string;
  readonly #processes: ChainProcesses;
  readonly #record: ProgramsRecord;

  /** @param directory the network's state directory */
  constructor(directory: string, record: ProgramsRecord) {
    this.#directory = directory;
    this.programs = new ProgramProcesses(directory, record);
    this.#processes = new ChainProcesses(join(directory, CHAINS_DIRECTORY), join(directory, 'logs'));
    this.#record = record;
  }

  /** Starts those chains that do not run, and their fronts. @throws {KmsError} UNAVAILABLE, TIMEOUT */
  async start(signal: AbortSignal): Promise<void> {
    await this.#processes.start(this.#record.known(), this.#record.save, signal);
  }

  stop(): Promise<void> {
    return this.#processes.stop(this.#record.known());
  }

  /** What a parent is told of its connector, whose account's key is written down. @param listen `host:port` @throws {KmsError} INTERNAL before deploy() */
  async connectorOf(party: number, listen: string): Promise<object> {
    await writeAccountFile(this.#directory, `connector-${party}`, senderOf(party));
    return connectorSection(party, listen, this.#directory, this.#record.known());
  }

  /** Coprocessors and relayers, and the files by which others find everything; once the network is on its chains. @throws {KmsError} as ProgramProcesses.start() */
  async serve(signal: AbortSignal): Promise<void> {
    await writePeoplesFiles(this.#directory);
    await this.programs.start(signal);
    await writeGatewayFile(this.#directory, this.#record.known(), this.#record.connectors());
  }

  /** The gateway's contracts, deployed unless they are there: what genesis names, before anybody is a member. */
  async deploy(): Promise<FoundedGateway> {
    const { gateway: state, hosts } = this.#record.known();
    const { registry, registryCodeHash, chain } = await this.#deployed(state);
    const finality = { kind: 'finalized' } as const;
    const accesses: ChainAccess[] = [];
    for (const host of hosts) {
      const rpc = await this.#processes.rpcOf(host);
      accesses.push({ chainId: BigInt(host.chainId), finality, maxHeadAgeS: MAX_HEAD_AGE_S, rpc });
    }
    return {
      anchor: {
        chainId: BigInt(chain.chainId),
        registry: hexToBytes(registry.address),
        registryCodeHash: digest(registryCodeHash.slice(2)),
        finality,
      },
      rpc: await this.#processes.rpcOf(state),
      maxHeadAgeS: MAX_HEAD_AGE_S,
      hosts: accesses,
    };
  }

  /**
   * The network on its chains: configurations published, members of epoch 0 proposed and enrolled, host chains with contracts that
   * know the signers.
   * @param enrolments waits until all nodes have enrolled each other; by party, in order
   * @throws {KmsError} UNAVAILABLE if the registry of genesis is not there, BAD_GENESIS if it is another network's
   */
  async found(
    network: ConfigurationChain,
    enrolments: () => Promise<readonly Enrolment[]>,
    onProgress: (done: number, total: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const gateway = await this.#founded(network);
    const { hosts } = this.#record.known();
    const steps = 1 + hosts.length;
    onProgress(0, steps);
    if ((await currentEpoch(gateway)) === undefined) await this.#enrol(gateway, network, await enrolments());
    await publishConfigurations(
      gateway,
      network.links.map((link) => `0x${link.digest}` as const),
    );
    signal.throwIfAborted();
    let done = 1;
    onProgress(done, steps);
    const onHost = async (state: ChainState): Promise<void> => {
      const known = await openHost(placeOfChain(state), gateway);
      const host = known ?? (await this.#deployHost(state, gateway, network, enrolments));
      await this.#remember(state.chainId, contractsOfHost(host));
      onProgress(++done, steps);
    };
    await Promise.all(hosts.map(onHost));
  }

  /** Of the gateway chain, as the machine sees it. @throws {KmsError} UNAVAILABLE */
  async block(): Promise<number> {
    const block = await this.#processes.block(this.#record.known().gateway);
    if (block === undefined) throw new KmsError('UNAVAILABLE', 'the gateway chain does not answer');
    return block;
  }

  async status(): Promise<readonly ChainStatus[]> {
    return Promise.all(
      everyChain(this.#record.known()).map(async (chain, i) => {
        const { chainId, url } = placeOfChain(chain);
        const block = await this.#processes.block(chain);
        const role = i === 0 ? 'gateway' : 'host';
        return { chainId, role, url, block, contracts: chain.contracts ?? {} } as const;
      }),
    );
  }

  async #deployed(state: ChainState): Promise<LocalGateway> {
    const place = placeOfChain(state);
    const known = state.contracts?.registry;
    if (known !== undefined) {
      try {
        return await openGateway(place, getAddress(known));
      } catch (error) {
        // Before genesis names it a registry can be another one: the machine may have stopped before its chain was written down.
        if (codeOf(error) !== 'UNAVAILABLE') throw error;
      }
    }
    const gateway = await deployGateway(place);
    await this.#remember(state.chainId, contractsOfGateway(gateway));
    return gateway;
  }

  /** That of genesis, whatever the state file says. */
  async #founded({ genesis }: ConfigurationChain): Promise<LocalGateway> {
    const { gateway: state } = this.#record.known();
    const registry = getAddress(bytesToHex(genesis.gateway.registry));
    const gateway = await openGateway(placeOfChain(state), registry);
    await this.#remember(state.chainId, contractsOfGateway(gateway));
    return gateway;
  }

  async #enrol(
    gateway: LocalGateway,
    network: ConfigurationChain,
    enrolments: readonly Enrolment[],
  ): Promise<void> {
    const [first] = network.links;
    if (first === undefined) throw new KmsError('INTERNAL', 'a network has configuration 0');
    const { members, t } = first.signed.configuration;
    const nodes = enrolments.map((one, i) =>
      proposedNode(gateway, one, members[i]?.address ?? '', {
        ...{ cloudAccount: accountOf(one.statement.party), region: REGION },
      }),
    );
    await foundGateway(gateway, `0x${network.networkId}`, `0x${first.digest}`, t, nodes);
    await enrol(gateway, enrolments);
  }

  async #deployHost(
    state: ChainState,
    gateway: LocalGateway,
    network: ConfigurationChain,
    enrolments: () => Promise<readonly Enrolment[]>,
  ): Promise<LocalHost> {
    const place = placeOfChain(state);
    const { t } = network.epochStart.signed.configuration;
    const committee = firstCommittee(t, await enrolments());
    return deployHost(place, gateway, committee, [new LocalAccount(place, SUBMITTER).address]);
  }

  async #remember(chainId: number, contracts: Readonly<Record<string, Deployed>>): Promise<void> {
    const known = this.#record.known();
    const chain = everyChain(known).find((one) => one.chainId === chainId);
    if (chain === undefined) throw new KmsError('INTERNAL', `there is no chain ${chainId}`);
    const addresses = Object.fromEntries(
      Object.entries(contracts).map(([name, { address }]) => [name, address.toLowerCase()]),
    );
    await this.#record.save(withChain(known, { ...chain, contracts: addresses }));
  }
}

function contractsOfGateway({ registry, keys, ciphertexts, decryptions }: LocalGateway) {
  return { registry, keys, ciphertexts, decryptions };
}

function contractsOfHost({ verifier, keyring, accessControl, submitters, compute, oracle }: LocalHost) {
  return { verifier, keyring, accessControl, submitters, compute, oracle };
}
