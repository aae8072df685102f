import type { MainModule } from 'node-seal';

export type SealModule = MainModule;

let loading: Promise<SealModule> | undefined;

/** node-seal's WebAssembly module, loaded at first use: a program that never encrypts never pays for it. */
export function sealModule(): Promise<SealModule> {
  loading ??= import('node-seal').then(({ initialize }) => initialize());
  return loading;
}
