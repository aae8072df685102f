import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnclaveMachine, type MachineOptions } from '../../infra/lab/machine.ts';
import { findLab, type Lab } from '../../infra/lab/setup.ts';
import { answerHeartbeats, HEARTBEAT_PORT } from '../../parent/link/heartbeat.ts';
import type { Listener } from '../../shared/link.ts';

/** Machines of one test file; all end with it. */
export class Machines {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kms-vm-'));
  readonly #running: EnclaveMachine[] = [];
  readonly #listeners: Listener[] = [];
  #count = 0;

  get lab(): Lab {
    const lab = findLab();
    if (lab === undefined) throw new Error('the lab has not been set up: make lab-setup');
    return lab;
  }

  /** @param parent whether somebody answers the heartbeat */
  async start(
    image: string,
    options: Partial<MachineOptions> & { readonly parent?: boolean } = {},
  ): Promise<EnclaveMachine> {
    const directory = join(this.directory, `${++this.#count}`);
    const { parent = true, ...others } = options;
    const machine = await EnclaveMachine.start({ lab: this.lab, image, directory, ...others });
    this.#running.push(machine);
    if (parent) this.#listeners.push(await answerHeartbeats(`${machine.vhostSocket}_${HEARTBEAT_PORT}`));
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map((machine) => machine.stop()));
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
