import { parseAddress } from '../../../shared/address.ts';
import { KmsError } from '../../../shared/errors.ts';
import type { ProcessId } from '../process.ts';
import { type ProgramState, programOf } from '../programs/program.ts';
import { GATEWAY_CHAIN_ID, HOST_CHAIN_IDS } from './chain-ids.ts';

/** A chain of a local network, as its state file knows it. */
export interface ChainState {
  readonly chainId: number;
  /** Of anvil, plain HTTP. */
  readonly port: number;
  /** Of the TLS fronts before it. */
  readonly frontPorts: readonly number[];
  readonly process?: ProcessId;
  /** Addresses by name, lower case, once they are deployed. */
  readonly contracts?: Readonly<Record<string, string>>;
}

export interface ChainsState {
  readonly gateway: ChainState;
  readonly hosts: readonly ChainState[];
  /** Serves all fronts. */
  readonly fronts?: ProcessId;
  /** Coprocessors and relayers, once they have been started. */
  readonly programs?: readonly ProgramState[];
  /** How often connectors and relayers ask for new blocks while no chain announces them, in ms; default: theirs. */
  readonly pollMs?: number;
}

/** In the network's state directory. */
export const CHAINS_DIRECTORY = 'chains';
/** Endpoints of each chain; enclaves believe what FRONTS_AGREEING of them say. */
export const FRONTS = 3;
export const FRONTS_AGREEING = 2;
const PORTS_OF_A_CHAIN = 1 + FRONTS;
/** How many ports freshChains() takes. */
export const chainPorts: number = PORTS_OF_A_CHAIN * (1 + HOST_CHAIN_IDS.length);

export function freshChains(ports: readonly number[]): ChainsState {
  const fresh = (chainId: number, index: number): ChainState => {
    const [port = 0, ...frontPorts] = ports.slice(PORTS_OF_A_CHAIN * index, PORTS_OF_A_CHAIN * (index + 1));
    return { chainId, port, frontPorts };
  };
  return {
    gateway: fresh(GATEWAY_CHAIN_ID, 0),
    hosts: HOST_CHAIN_IDS.map((chainId, i) => fresh(chainId, i + 1)),
  };
}

/** The gateway chain first. */
export function everyChain({ gateway, hosts }: ChainsState): readonly ChainState[] {
  return [gateway, ...hosts];
}

export function withChain(state: ChainsState, changed: ChainState): ChainsState {
  const replaced = (one: ChainState): ChainState => (one.chainId === changed.chainId ? changed : one);
  return { ...state, gateway: replaced(state.gateway), hosts: state.hosts.map(replaced) };
}

/**
 * Everything that is later used to signal or connect.
 * @param checkProcess throws for what identifies no process
 * @throws {KmsError} BAD_ENCODING, BAD_INPUT
 */
export function checkChains(state: ChainsState, checkProcess: (id: ProcessId | undefined) => void): void {
  checkProcess(state.fronts);
  const { pollMs = 1 } = state;
  if (!Number.isSafeInteger(pollMs) || pollMs < 1)
    throw new KmsError('BAD_ENCODING', 'no time between blocks');
  for (const { name, port, process } of state.programs ?? []) {
    programOf(name);
    if (port !== undefined) parseAddress(`127.0.0.1:${port}`);
    checkProcess(process);
  }
  const chains = everyChain(state);
  if (new Set(chains.map(({ chainId }) => chainId)).size !== chains.length) {
    throw new KmsError('BAD_ENCODING', 'two chains have one id');
  }
  for (const { chainId, port, frontPorts, process, contracts = {} } of chains) {
    if (!Number.isSafeInteger(chainId) || chainId < 1 || frontPorts.length !== FRONTS) {
      throw new KmsError('BAD_ENCODING', 'a chain is not one');
    }
    for (const one of [port, ...frontPorts]) parseAddress(`127.0.0.1:${one}`);
    checkProcess(process);
    if (!Object.values(contracts).every((address) => /^0x[0-9a-f]{40}$/.test(address))) {
      throw new KmsError('BAD_ENCODING', 'a contract has no address');
    }
  }
}
