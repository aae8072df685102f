import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KnownState } from './known-state.ts';
import { enclaveConfig } from './node-config.ts';
import { freePort, isAlive, startProcess, stopProcess } from './process.ts';
import type { NodeState, Role } from './state.ts';

const PARENT_ENTRY = fileURLToPath(new URL('../../parent/main.ts', import.meta.url));

type StopSignal = 'SIGTERM' | 'SIGKILL';

/** The two processes of each node: enclave and parent. */
export class NodeProcesses {
  readonly #state: KnownState;
  readonly #parentConfig: (node: NodeState) => Promise<object>;

  /** @param parentConfig what a parent is told when it is started */
  constructor(state: KnownState, parentConfig: (node: NodeState) => Promise<object>) {
    [this.#state, this.#parentConfig] = [state, parentConfig];
  }

  /** One of them, or both. SIGKILL: without giving it time for anything. @throws {KmsError} BAD_INPUT */
  async stop(
    party: number,
    { role, signal }: { readonly role?: Role; readonly signal?: StopSignal } = {},
  ): Promise<void> {
    const { processes } = this.#state.node(party);
    const roles: readonly Role[] = role === undefined ? ['parent', 'enclave'] : [role];
    for (const each of roles) {
      const id = processes[each];
      if (id !== undefined) await stopProcess(id, signal);
    }
  }

  /** Those that do not run. @param entry another entry point from now on: the parent's if only that is started, else the enclave's */
  async start(
    party: number,
    { role, entry }: { readonly role?: Role; readonly entry?: string } = {},
  ): Promise<void> {
    const { socketDirectory } = this.#state.node(party);
    await mkdir(socketDirectory, { recursive: true, mode: 0o700 });
    if (entry !== undefined) {
      await this.#state.changeNode(party, role === 'parent' ? { parentEntry: entry } : { entry });
    }
    const roles: readonly Role[] = role === undefined ? ['enclave', 'parent'] : [role];
    for (const each of roles) {
      const id = this.#state.node(party).processes[each];
      if (id === undefined || !(await isAlive(id))) await this.#run(party, each);
    }
  }

  /**
   * The next parent starts as the old one is told to stop, and takes its sockets over; the enclave goes on.
   * @param entry the next one's entry point; default: the real parent's
   */
  async replaceParent(party: number, entry: string = PARENT_ENTRY, signal?: StopSignal): Promise<void> {
    const old = this.#state.node(party).processes.parent;
    await this.#state.changeNode(party, { parentEntry: entry });
    const gone = old === undefined ? Promise.resolve() : stopProcess(old, signal);
    try {
      await this.#run(party, 'parent');
    } finally {
      await gone;
    }
  }

  logFile(party: number, role: Role): string {
    return join(this.#state.directory, 'logs', `${party}-${role}.log`);
  }

  async #run(party: number, role: Role): Promise<void> {
    const state = this.#state;
    const { status = `127.0.0.1:${await freePort()}` } = state.node(party);
    await state.changeNode(party, { status });
    const node = state.node(party);
    const { entry, parentEntry = PARENT_ENTRY } = node;
    const home = join(state.directory, 'nodes', `${party}`);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const config = role === 'enclave' ? enclaveConfig(node, state.all) : await this.#parentConfig(node);
    const configFile = join(home, `${role}.json`);
    await writeFile(configFile, JSON.stringify(config), { mode: 0o600 });
    await startProcess(
      role === 'enclave' ? entry : parentEntry,
      ['--config', configFile],
      this.logFile(party, role),
      {
        conditions: role === 'enclave' && state.class === 'lab' ? ['kms-lab'] : [],
        remember: (id) =>
          state.changeNode(party, { processes: { ...state.node(party).processes, [role]: id } }),
      },
    );
  }
}
