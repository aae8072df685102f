import { KmsError } from '../../errors.ts';

/** The WebAssembly arithmetic kernel: one instance with one fixed memory, synchronous. */
export class Kernel {
  static async load(): Promise<Kernel> {
    throw new KmsError('INTERNAL', 'kernel not built yet');
  }
}
