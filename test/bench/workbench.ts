import type { Kernel } from '../../shared/math/kernel/kernel.ts';
import { DealtKey } from './dealt-key.ts';

/** What the jobs share: one kernel, and per committee one dealt key, made when a job first asks for it. */
export class Workbench {
  readonly kernel: Kernel;
  /** What jobs started and do not end themselves. */
  readonly started = new AsyncDisposableStack();
  readonly #keys = new Map<string, DealtKey>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  key(n: number, t: number): DealtKey {
    const name = `${n},${t}`;
    const key = this.#keys.get(name) ?? new DealtKey(this.kernel, n, t);
    this.#keys.set(name, key);
    return key;
  }
}

/** The two committees every figure is given for. */
export const committees = [
  { n: 4, t: 1 },
  { n: 13, t: 4 },
] as const;
