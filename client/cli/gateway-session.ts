import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KmsError } from '../../shared/errors.ts';
import { GatewayClient } from '../gateway/gateway-client.ts';
import type { GatewayPlaces } from '../gateway/gateway-file.ts';
import type { Wallet } from '../gateway/wallet.ts';
import { readWallet } from './account-file.ts';
import type { Arguments, Options } from './arguments.ts';
import { networkOptions } from './command.ts';
import { gatewayFile, readPlaces } from './gateway-block.ts';
import { stateDirectory } from './network-files.ts';
import type { Progress } from './progress.ts';
import { Session } from './session.ts';
import type { Terminal } from './terminal.ts';

/** Where a command that goes through the gateway finds it, and how long it waits. */
export const gatewayOptions: Options = {
  ...networkOptions,
  timeout: { value: 'SECONDS', help: 'how long to wait for each step', default: '120' },
};

/** Who acts, and where. */
export const actingOptions: Options = {
  account: {
    value: 'FILE',
    help: 'key of the account that asks and pays (default: accounts/user.key of the state directory)',
  },
  host: { value: 'CHAIN', help: 'id of the host chain (default: the first of the gateway file)' },
};

/** Whose approvals are given from here. */
export const operatorOptions: Options = {
  operator: {
    value: 'FILE',
    help: "key of an operator's account (default: all accounts/operator-*.key of the state directory)",
    repeatable: true,
  },
};

/** Options of commands that may bring an input in. */
export const inputOptions: Options = {
  ...actingOptions,
  submitter: {
    value: 'FILE',
    help: 'key of the submitter that vouches for inputs (default: accounts/submitter.key of the state directory)',
  },
};

/** A client of the network that the command line names, through its gateway. */
export class GatewaySession {
  readonly session: Session;
  readonly client: GatewayClient;
  readonly #progress: Progress | undefined;

  private constructor(session: Session, client: GatewayClient, progress: Progress | undefined) {
    [this.session, this.client, this.#progress] = [session, client, progress];
  }

  /** @param title of a progress bar that shows what is waited for; undefined: none is shown. @throws {KmsError} UNAVAILABLE for a network without a gateway; what Session.open() throws */
  static async open(given: Arguments, terminal: Terminal, title?: string): Promise<GatewaySession> {
    const timeoutMs = 1000 * (given.integer('timeout', 1, 86_400) ?? 120);
    const session = await Session.open(given, terminal);
    const progress = title === undefined ? undefined : terminal.progress(title);
    try {
      const places = await placesOf(given, terminal);
      const onProgress = (phase: string, done: number, total: number): void =>
        progress?.update(phase, done, total);
      const client = await GatewayClient.connect({ kms: session.client, places, timeoutMs, onProgress });
      return new GatewaySession(session, client, progress);
    } catch (error) {
      session[Symbol.dispose]();
      progress?.finish();
      throw error;
    }
  }

  /** Removes the progress bar: what follows is the result. */
  finish(): void {
    this.#progress?.finish();
  }

  [Symbol.dispose](): void {
    this.finish();
    this.session[Symbol.dispose]();
  }
}

/** The chain that --host names; undefined: the default. */
export function hostOf(given: Arguments): { readonly hostChainId?: bigint } {
  const chain = given.integer('host', 1, 2 ** 48 - 1);
  return chain === undefined ? {} : { hostChainId: BigInt(chain) };
}

/** @param option `account`, `submitter` @param name of the file in the state directory that is the default */
export function walletFor(
  given: Arguments,
  terminal: Terminal,
  option: string,
  name: string,
): Promise<Wallet> {
  return readWallet(given.text(option) ?? accountFile(given, terminal, name));
}

export function accountFile(given: Arguments, terminal: Terminal, name: string): string {
  return join(stateDirectory(given, terminal), 'accounts', `${name}.key`);
}

/** @throws {KmsError} BAD_INPUT without any, or for a file that is no key */
export async function operatorsOf(given: Arguments, terminal: Terminal): Promise<readonly Wallet[]> {
  const named = given.texts('operator');
  const files =
    named.length > 0 ? named : await operatorFiles(dirname(accountFile(given, terminal, 'operator-1')));
  return Promise.all(files.map(readWallet));
}

async function operatorFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  const found = names.filter((name) => /^operator-\d+\.key$/.test(name)).sort();
  if (found.length > 0) return found.map((name) => join(directory, name));
  throw new KmsError(
    'BAD_INPUT',
    `there is no operator's key in ${directory}; name the files with --operator`,
  );
}

async function placesOf(given: Arguments, terminal: Terminal): Promise<GatewayPlaces> {
  const path = gatewayFile(given, terminal);
  if (given.text('gateway-file') !== undefined || existsSync(path)) return readPlaces(path);
  throw new KmsError(
    'UNAVAILABLE',
    `there is no ${path}: this network has no gateway, and its nodes do nothing without one; 'kms net up' starts one that has`,
  );
}
