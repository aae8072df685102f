import { KmsError } from '../../shared/errors.ts';

/** A fixed number of things at once. */
export class Slots {
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Held until disposed of. @throws {KmsError} BUSY */
  take(): Disposable {
    if (this.#free === 0) throw new KmsError('BUSY', 'no slot is free');
    this.#free -= 1;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#free += 1;
        held = false;
      },
    };
  }
}
