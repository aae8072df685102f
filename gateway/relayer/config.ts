import type { Hex } from '../adapter/chain-data.ts';
import { type ChainConfig, chainConfig, Fields } from '../adapter/config-file.ts';

/** A relayer's configuration: one JSON file. Nothing in it is secret; the account's key is in a file of its own. */
export interface RelayerConfig {
  readonly stateDirectory: string;
  readonly accountKeyFile: string;
  readonly committeeChangesDirectory: string | undefined;
  readonly lifetimeS: number;
  readonly maxFeePerHandleWei: bigint;
  readonly gateway: ChainConfig & { readonly registry: Hex };
  readonly hosts: readonly ChainConfig[];
}

/** For `--help`. */
export const RELAYER_CONFIG = `{
  "stateDirectory": "...",             of this process alone: cursors and unfinished work
  "accountKeyFile": "...",             64 hex digits; an account with money on every chain, used by nobody else
  "committeeChangesDirectory": "...",  optional: where committee-change-<epoch>.json files appear
  "requestLifetimeS": 3600,            optional: how long a gateway request waits for its answer
  "maxFeePerHandleGwei": 1000000,      optional: dearer requests are left to others
  "gateway": {"url": "http://...", "chainId": 1, "registry": "0x...", "startBlock": 0, "confirmations": 1},
  "hosts": [{"url": "http://...", "chainId": 2, "startBlock": 0, "confirmations": 1}]
}
Without "confirmations" only finalized blocks count. A chain is asked for its newest block every "pollMs", 50 unless stated; one with
"headsUrl": "ws://..." when it announces a block there, and at times besides.`;

const DAY_S = 86_400;

/** @throws {KmsError} BAD_INPUT */
export async function readRelayerConfig(path: string): Promise<RelayerConfig> {
  const fields = await Fields.read(path);
  const gateway = fields.object('gateway');
  const config = {
    stateDirectory: fields.text('stateDirectory'),
    accountKeyFile: fields.text('accountKeyFile'),
    committeeChangesDirectory: fields.optionalText('committeeChangesDirectory'),
    lifetimeS: fields.integer('requestLifetimeS', 30, 7 * DAY_S, 3600),
    maxFeePerHandleWei: BigInt(fields.integer('maxFeePerHandleGwei', 0, 2 ** 50, 1_000_000)) * 1_000_000_000n,
    gateway: { ...chainConfig(gateway), registry: gateway.address('registry') },
    hosts: fields.list('hosts').map((host) => {
      const one = chainConfig(host);
      host.end();
      return one;
    }),
  };
  gateway.end();
  fields.end();
  return config;
}
