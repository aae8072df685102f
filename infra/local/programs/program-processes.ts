import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KmsError } from '../../../shared/errors.ts';
import type { ChainsState } from '../chains/chains-state.ts';
import {
  accepts,
  freePort,
  isAlive,
  type ProcessId,
  type Remember,
  startProcess,
  stopProcess,
} from '../process.ts';
import { writeAccountFile } from './account-files.ts';
import { EVERYWHERE, type Program, type ProgramState, programOf } from './program.ts';
import { coprocessorConfig, relayerConfig } from './program-config.ts';
import { programDirectory } from './program-files.ts';

export interface ProgramStatus {
  readonly name: string;
  readonly isUp: boolean;
  /** Undefined for one that listens nowhere. */
  readonly url: string | undefined;
}

/** Where the programs of a network stand in its state file. */
export interface ProgramsRecord {
  readonly known: () => ChainsState;
  readonly save: (state: ChainsState) => Promise<void>;
  /** URLs of the connectors by party. */
  readonly connectors: () => readonly string[];
}

const POLL_MS = 50;

/** Coprocessors and relayers of a local network: processes that outlive whoever starts them, each with files and an account of its own. */
export class ProgramProcesses {
  readonly #directory: string;
  readonly #record: ProgramsRecord;

  /** @param directory the network's state directory */
  constructor(directory: string, record: ProgramsRecord) {
    this.#directory = directory;
    this.#record = record;
  }

  /** Starts what does not run of all that every network has, and of all that was ever started in this one. @throws as startOne() */
  async start(signal: AbortSignal): Promise<void> {
    const names = new Set([...EVERYWHERE, ...this.#all].map(({ name }) => name));
    for (const name of names) {
      signal.throwIfAborted();
      await this.#run(programOf(name));
    }
    await Promise.all([...names].map((name) => this.#ready(name, signal)));
  }

  /** Starts one unless it runs; done when it serves. @throws {KmsError} BAD_INPUT for an unknown name, UNAVAILABLE if it ends */
  async startOne(name: string, signal: AbortSignal): Promise<void> {
    await this.#run(programOf(name));
    await this.#ready(name, signal);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(({ name }) => this.stopOne(name)));
  }

  /** @throws {KmsError} BAD_INPUT for an unknown name */
  async stopOne(name: string, signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { process } = this.#known(programOf(name).name);
    if (process !== undefined) await stopProcess(process, signal);
  }

  status(): Promise<readonly ProgramStatus[]> {
    return Promise.all(
      this.#all.map(async ({ name, port, process }) => {
        return { name, isUp: await lives(process), url: port === undefined ? undefined : urlOf(port) };
      }),
    );
  }

  get #all(): readonly ProgramState[] {
    return this.#record.known().programs ?? [];
  }

  #known(name: string): ProgramState {
    return this.#all.find((program) => program.name === name) ?? { name };
  }

  async #run(program: Program): Promise<void> {
    const { name, kind, entry } = program;
    const known = this.#known(name);
    if (await lives(known.process)) return;
    const { port = kind === 'relayer' ? undefined : await freePort() } = known;
    if (port !== undefined && (await accepts(port))) {
      throw new KmsError('UNAVAILABLE', `port ${port} of ${name} is in use by another program`);
    }
    const chains = this.#record.known();
    const config =
      port === undefined
        ? relayerConfig(program, this.#directory, chains)
        : coprocessorConfig(program, port, this.#directory, chains, this.#record.connectors());
    await writeAccountFile(this.#directory, name, program.account);
    const home = programDirectory(this.#directory, name);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const file = join(home, 'config.json');
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    const remember: Remember = (process) =>
      this.#remember({ name, ...(port === undefined ? {} : { port }), process });
    await startProcess(entry, ['--config', file], this.#logFile(name), { remember });
  }

  async #ready(name: string, signal: AbortSignal): Promise<void> {
    const { port, process } = this.#known(name);
    for (;;) {
      signal.throwIfAborted();
      if (!(await lives(process))) {
        throw new KmsError('UNAVAILABLE', `${name} has ended; see ${this.#logFile(name)}`);
      }
      if (port === undefined || (await accepts(port))) return;
      await sleep(POLL_MS);
    }
  }

  #remember(program: ProgramState): Promise<void> {
    const isKnown = this.#all.some(({ name }) => name === program.name);
    const programs = isKnown
      ? this.#all.map((one) => (one.name === program.name ? program : one))
      : [...this.#all, program];
    return this.#record.save({ ...this.#record.known(), programs });
  }

  #logFile(name: string): string {
    return join(this.#directory, 'logs', `${name}.log`);
  }
}

export function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

async function lives(id: ProcessId | undefined): Promise<boolean> {
  return id !== undefined && (await isAlive(id));
}
