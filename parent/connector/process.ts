import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Backoff, pauseMs } from '../../gateway/adapter/backoff.ts';
import type { Log } from '../../shared/log.ts';

const ENTRY = fileURLToPath(new URL('./main.ts', import.meta.url));
const BACKOFF: Backoff = { firstMs: 1_000, longestMs: 60_000 };
/** One that ran so long had a good start. */
const WELL_MS = 60_000;
/** For it to put down its work. */
const STOP_MS = 2_000;

export interface ConnectorProcessOptions {
  /** The parent's configuration file. */
  readonly configFile: string;
  readonly log: Log;
  readonly backoff?: Backoff;
}

/**
 * The connector, in a process of its own: whatever it meets on the chains, however much it computes and however it ends, the relay goes
 * on. It is started again each time it ends, after a while, and ends with this process.
 */
export class ConnectorProcess {
  readonly #options: ConnectorProcessOptions;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isStopped = false;

  constructor(options: ConnectorProcessOptions) {
    this.#options = options;
    this.#start();
  }

  /** No new one is started. Resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  #start(): void {
    const { configFile, log, backoff = BACKOFF } = this.#options;
    const startedMs = performance.now();
    // Of the environment it needs what Node itself does, and credentials of this machine's role least of all.
    const { PATH = '', NODE_COMPILE_CACHE } = process.env;
    const env = { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
    const child = fork(ENTRY, ['--config', configFile], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    let isOver = false;
    const ended = (): void => {
      if (isOver) return;
      isOver = true;
      if (this.#isStopped) return;
      this.#failures = performance.now() - startedMs > WELL_MS ? 1 : this.#failures + 1;
      log('error', 'connector-ended', { count: this.#failures });
      this.#timer = setTimeout(() => this.#start(), pauseMs(backoff, this.#failures));
    };
    child.once('exit', ended);
    child.on('error', ended);
  }
}
