import { loadAddon, type NativeAddon } from '../../../enclave/native/addon.ts';
import { buildAddon, findCompiler, findHeaders } from '../../../infra/build/native.ts';

const missing =
  findCompiler() === undefined ? 'a C compiler' : findHeaders() === undefined ? "Node's headers" : '';

/** Only the image and these tests need the native layer; without a compiler they are skipped. */
export const canBuild: boolean = missing === '' && process.platform === 'linux';

if (!canBuild) {
  process.stderr.write(
    `\nSKIPPED: the native layer is not tested, this machine lacks ${missing || 'Linux'}\n\n`,
  );
}

/** Compiles into a file of the caller's. */
export function builtAddon(path: string): NativeAddon {
  return loadAddon(buildAddon(path));
}
