import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { KmsError } from '../../../shared/errors.ts';
import { foundryTool } from '../../build/forge.ts';

/** Where a chain of this machine is asked. */
export interface ChainPlace {
  readonly chainId: number;
  /** http://127.0.0.1:port */
  readonly url: string;
}

/** A chain of this machine. Its accounts are Foundry's well-known ones: they hold play money and nothing else. */
export interface LocalChain extends ChainPlace {
  readonly pid: number;
  /** Resolves when the process is gone. */
  stop(): Promise<void>;
}

export interface AnvilOptions {
  readonly chainId: number;
  /** 0: any free one. */
  readonly port?: number;
  /** Seconds between blocks without transactions; a transaction makes one at once. */
  readonly blockTimeS?: number;
  /** Read at the start and written at the end, if given: the same chain goes on after a restart. */
  readonly stateFile?: string;
}

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 3_000;

/**
 * Starts anvil on the loopback. With no slots in an epoch `finalized` is the newest block, so a lone request is final at once;
 * finality as public chains have it is for the tests of reorganisations.
 * @throws {KmsError} UNAVAILABLE if it does not listen in time
 */
export async function startAnvil(options: AnvilOptions): Promise<LocalChain> {
  const { chainId, stateFile } = options;
  const args = [
    ...anvilArguments(options),
    ...(stateFile === undefined ? [] : ['--state', stateFile, '--preserve-historical-states']),
  ];
  const child = spawn(foundryTool('anvil'), args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', NO_COLOR: '1' },
  });
  try {
    const address = await listening(child);
    return { chainId, url: `http://${address}`, pid: child.pid ?? 0, stop: () => stop(child) };
  } catch (cause) {
    await stop(child);
    throw new KmsError('UNAVAILABLE', `the local chain ${chainId} did not start`, { cause });
  }
}

/** What every chain of this machine is started with. */
export function anvilArguments({ chainId, port = 0, blockTimeS = 1 }: AnvilOptions): readonly string[] {
  return [
    ...['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId)],
    ...['--slots-in-an-epoch', '0', '--block-time', String(blockTimeS), '--mixed-mining', '--no-cors'],
  ];
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => reject(new Error('no word of it in time')), START_TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`it ended with code ${code}`)));
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      // Read to the end of its life, so that a full pipe never stops it.
      if (text.length > 64 * 1024) return;
      text += chunk;
      const address = /Listening on (127\.0\.0\.1:\d+)/.exec(text)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}
