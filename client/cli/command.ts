import type { Arguments, Options } from './arguments.ts';
import { pinOption } from './pins.ts';
import type { Terminal } from './terminal.ts';

/** One command of `kms`: what help shows of it, and what it does. */
export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Argument patterns after `kms <name>`, one per form. */
  readonly forms: readonly string[];
  /** Paragraphs below the usage. */
  readonly details?: readonly string[];
  readonly examples?: readonly string[];
  readonly options: Options;
  readonly maxPositionals: number;
  run(given: Arguments, terminal: Terminal): Promise<Outcome>;
}

/** What a command leaves behind: the object of --json, and the lines for a person. */
export interface Outcome {
  readonly json: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

/** Which network a command is about. */
export const networkFileOptions: Options = {
  state: { value: 'DIR', help: 'state directory of the local network (default: $KMS_STATE or .kms)' },
  genesis: { value: 'FILE', help: "the network's genesis (default: genesis.bin of the state directory)" },
  config: {
    value: 'FILE',
    help: "the network's configurations (default: configurations.bin beside genesis)",
  },
  pin: pinOption,
  'gateway-file': {
    value: 'FILE',
    help: 'where the gateway and those who serve it are (default: gateway.json of the state directory)',
  },
};

/** Where a command finds its network. */
export const networkOptions: Options = {
  ...networkFileOptions,
  timeout: { value: 'SECONDS', help: 'how long to wait for the nodes', default: '60' },
};
