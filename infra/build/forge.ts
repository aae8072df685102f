import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const GATEWAY = fileURLToPath(new URL('../../gateway/', import.meta.url));
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface ForgeRun {
  readonly code: number | null;
  readonly output: string;
}

/** Path of a Foundry tool as its npm package ships it; no install script is needed. @throws {Error} for other platforms */
export function foundryTool(name: 'forge' | 'anvil'): string {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const platform = process.platform === 'win32' ? 'win32' : process.platform;
  const suffix = platform === 'win32' ? '.exe' : '';
  const path = `@foundry-rs/${name}-${platform}-${architecture}/bin/${name}${suffix}`;
  try {
    return createRequire(import.meta.url).resolve(path);
  } catch (cause) {
    throw new Error(`${name} is not installed for ${platform}-${architecture}: run npm ci`, { cause });
  }
}

export interface ForgeOptions {
  /** Where foundry.toml lies; gateway/ if absent. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends forge. */
  readonly signal?: AbortSignal;
}

/** Runs forge offline, with this Node for the compiler's shim. */
export function forge(args: readonly string[], options: ForgeOptions = {}): Promise<ForgeRun> {
  const { directory = GATEWAY, environment = {}, signal } = options;
  const path = [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);
  const child = spawn(foundryTool('forge'), [...args], {
    cwd: directory,
    env: { ...environment, PATH: path, HOME: process.env.HOME ?? GATEWAY, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
