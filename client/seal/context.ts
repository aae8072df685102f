import type { Ciphertext, SEALContext } from 'node-seal';
import { KmsError } from '../../shared/errors.ts';
import { keyPrimes, type Preset } from '../../shared/fhe/presets.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { type SealModule, sealModule } from './module.ts';

/** node-seal set up for one preset, and the kernel for our own encodings. Lives as long as the process. */
export interface SealRuntime {
  readonly preset: Preset;
  readonly seal: SealModule;
  readonly context: SEALContext;
  readonly kernel: Kernel;
}

const runtimes = new Map<string, Promise<SealRuntime>>();

/** The runtime of a preset, made once. @throws {KmsError} INTERNAL when SEAL refuses the parameters */
export function sealRuntime(preset: Preset): Promise<SealRuntime> {
  let runtime = runtimes.get(preset.name);
  if (runtime === undefined) {
    runtime = create(preset);
    runtimes.set(preset.name, runtime);
  }
  return runtime;
}

async function create(preset: Preset): Promise<SealRuntime> {
  const [seal, kernel] = await Promise.all([sealModule(), Kernel.load()]);
  using parameters = new seal.EncryptionParameters(seal.SchemeType.bfv);
  using coefficientPrimes = new seal.VectorModulus();
  for (const prime of keyPrimes(preset)) {
    using modulus = new seal.Modulus(prime);
    coefficientPrimes.push_back(modulus);
  }
  using plain = new seal.Modulus(preset.plainModulus);
  parameters.setPolyModulusDegree(preset.degree);
  parameters.setCoeffModulus(coefficientPrimes);
  parameters.setPlainModulus(plain);
  const level = {
    0: seal.SecLevelType.none,
    128: seal.SecLevelType.tc128,
    192: seal.SecLevelType.tc192,
    256: seal.SecLevelType.tc256,
  }[preset.sealSecurityLevel];
  const context = new seal.SEALContext(parameters, true, level);
  if (!context.parametersSet())
    throw new KmsError('INTERNAL', `SEAL refuses the parameters of ${preset.name}`);
  return { preset, seal, context, kernel };
}

/** SEAL's uncompressed bytes, copied out of its memory. */
export function savedBytes(runtime: SealRuntime, object: Pick<Ciphertext, 'saveToArray'>): Uint8Array {
  const bytes: unknown = object.saveToArray(runtime.seal.ComprModeType.none);
  if (!(bytes instanceof Uint8Array)) throw new KmsError('INTERNAL', 'SEAL returned no bytes');
  return bytes.slice();
}

/** Runs a SEAL operation; what SEAL throws becomes a KmsError of the given code. */
export function attempt<T>(code: 'BAD_ENCODING' | 'BAD_INPUT', what: string, operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    throw new KmsError(code, what, { cause });
  }
}
