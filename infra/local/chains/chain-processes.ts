import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { KmsError } from '../../../shared/errors.ts';
import type { RpcSet } from '../../../shared/network/rpc.ts';
import { foundryTool } from '../../build/forge.ts';
import {
  accepts,
  isAlive,
  type ProcessId,
  type Remember,
  startProcess,
  startProgram,
  stopProcess,
} from '../process.ts';
import { LOCAL_ACCOUNTS } from './accounts.ts';
import { anvilArguments, type ChainPlace } from './anvil.ts';
import { askChain } from './ask-chain.ts';
import { saveChain } from './chain-save.ts';
import { type ChainState, type ChainsState, everyChain, FRONTS_AGREEING, withChain } from './chains-state.ts';
import { identityIn, pinOf } from './front-identity.ts';
import { endpointAt } from './tls-front.ts';

const FRONTS_ENTRY = fileURLToPath(new URL('main.ts', import.meta.url));
/** Old blocks whose state can still be proven, and no files beside ours. */
const STATES_KEPT = 1_024;
const START_TIMEOUT_MS = 60_000;
const ASK_TIMEOUT_MS = 2_000;
const POLL_MS = 50;

type Save = (state: ChainsState) => Promise<void>;

export function placeOfChain({ chainId, port }: ChainState): ChainPlace {
  return { chainId, url: `http://127.0.0.1:${port}` };
}

/** Where it announces its blocks: anvil's port takes both. */
export function headsUrlOf({ port }: ChainState): string {
  return `ws://127.0.0.1:${port}`;
}

/**
 * The chains of one local network and the fronts before them: processes that outlive whoever starts them, the same chains whenever
 * they are started again. DEVELOPMENT ONLY: whoever reaches the ports of the chains rules them.
 */
export class ChainProcesses {
  readonly #directory: string;
  readonly #logDirectory: string;

  /** @param directory `chains` in the network's state directory */
  constructor(directory: string, logDirectory: string) {
    this.#directory = directory;
    this.#logDirectory = logDirectory;
  }

  /**
   * Starts what does not run.
   * @param save told of each process at once: whoever dies here must find it again
   * @throws {KmsError} UNAVAILABLE, TIMEOUT
   */
  async start(state: ChainsState, save: Save, signal: AbortSignal): Promise<ChainsState> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    let running = state;
    const know = (next: ChainsState): Promise<void> => {
      running = next;
      return save(next);
    };
    for (const chain of everyChain(state)) {
      signal.throwIfAborted();
      if (await lives(chain.process)) continue;
      // It would answer for a while before anvil says that it cannot listen, and be taken for it.
      if (await accepts(chain.port)) {
        throw new KmsError(
          'UNAVAILABLE',
          `port ${chain.port} of chain ${chain.chainId} is in use by another program`,
        );
      }
      await this.#startChain(chain, (process) => know(withChain(running, { ...chain, process })));
    }
    for (const chain of everyChain(running)) await this.#answering(chain, signal);
    if (!(await lives(running.fronts))) {
      await this.#startFronts(running, (fronts) => know({ ...running, fronts }));
    }
    await this.#listening(running, signal);
    return running;
  }

  /** Everything that the chains hold is in their files before they end. */
  async stop(state: ChainsState): Promise<void> {
    if (state.fronts !== undefined) await stopProcess(state.fronts);
    await Promise.all(
      everyChain(state).map(async (chain) => {
        if (chain.process === undefined || !(await isAlive(chain.process))) return;
        // A chain that no longer answers leaves what was written last.
        await this.#save(chain).catch(() => {});
        await stopProcess(chain.process);
      }),
    );
  }

  async erase(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** How enclaves ask a chain. */
  async rpcOf({ frontPorts }: ChainState): Promise<RpcSet> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const endpoints = [];
    for (const port of frontPorts) {
      endpoints.push(endpointAt(`127.0.0.1:${port}`, pinOf(await identityIn(this.#identityFile(port)))));
    }
    return { k: FRONTS_AGREEING, endpoints };
  }

  /** Undefined if the chain does not answer. */
  async block(chain: ChainState): Promise<number | undefined> {
    try {
      return Number(await askChain(placeOfChain(chain).url, 'eth_blockNumber', [], ASK_TIMEOUT_MS));
    } catch {
      return undefined;
    }
  }

  async #startChain({ chainId, port }: ChainState, remember: Remember): Promise<void> {
    const file = this.#chainFile(chainId);
    const args = [
      ...anvilArguments({ chainId, port }),
      ...['--silent', '--accounts', `${LOCAL_ACCOUNTS}`, '--prune-history', `${STATES_KEPT}`],
      ...(existsSync(file) ? ['--load-state', file] : []),
    ];
    await startProgram(foundryTool('anvil'), args, this.#logFile(`chain-${chainId}`), remember);
  }

  async #startFronts(state: ChainsState, remember: Remember): Promise<void> {
    const chains = everyChain(state);
    // Made here, since genesis may need their keys before that process has read them.
    for (const chain of chains) await this.rpcOf(chain);
    const config = {
      fronts: chains.flatMap((chain) =>
        chain.frontPorts.map((port) => {
          return { port, upstream: placeOfChain(chain).url, identityFile: this.#identityFile(port) };
        }),
      ),
      saves: chains.map((chain) => ({ url: placeOfChain(chain).url, file: this.#chainFile(chain.chainId) })),
    };
    const file = join(this.#directory, 'fronts.json');
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    await startProcess(FRONTS_ENTRY, ['--config', file], this.#logFile('fronts'), { remember });
  }

  async #answering(chain: ChainState, signal: AbortSignal): Promise<void> {
    const { chainId, process } = chain;
    const answers = async (): Promise<boolean> =>
      Number(await askChain(placeOfChain(chain).url, 'eth_chainId', [], ASK_TIMEOUT_MS)) === chainId;
    await this.#until(() => answers().catch(() => false), process, `chain-${chainId}`, signal);
  }

  async #listening(state: ChainsState, signal: AbortSignal): Promise<void> {
    for (const port of everyChain(state).flatMap(({ frontPorts }) => frontPorts)) {
      await this.#until(() => accepts(port), state.fronts, 'fronts', signal);
    }
  }

  async #until(
    isGood: () => Promise<boolean>,
    process: ProcessId | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    const deadlineMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      signal.throwIfAborted();
      // Another program may answer at the port of one that has ended.
      if (!(await lives(process))) {
        throw new KmsError('UNAVAILABLE', `${name} ended; see ${this.#logFile(name)}`);
      }
      if (await isGood()) return;
      if (performance.now() > deadlineMs) {
        throw new KmsError('TIMEOUT', `${name} did not come up; see ${this.#logFile(name)}`);
      }
      await sleep(POLL_MS);
    }
  }

  #save(chain: ChainState): Promise<void> {
    return saveChain({ url: placeOfChain(chain).url, file: this.#chainFile(chain.chainId) });
  }

  #chainFile(chainId: number): string {
    return join(this.#directory, `${chainId}.json`);
  }

  #identityFile(port: number): string {
    return join(this.#directory, `front-${port}.json`);
  }

  #logFile(name: string): string {
    return join(this.#logDirectory, `${name}.log`);
  }
}

async function lives(id: ProcessId | undefined): Promise<boolean> {
  return id !== undefined && (await isAlive(id));
}
