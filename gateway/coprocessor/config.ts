import { type Address, parseAddress } from '../../shared/address.ts';
import type { Hex } from '../adapter/chain-data.ts';
import { type ChainConfig, chainConfig, Fields, type Place, places } from '../adapter/config-file.ts';
import type { S3EnvelopesOptions } from './s3-envelopes.ts';

/** A coprocessor's configuration: one JSON file. The account's key is in a file of its own. */
export interface CoprocessorConfig {
  readonly stateDirectory: string;
  readonly accountKeyFile: string;
  /** Where certified records of keys are found under the keys' ids; asked in this order. */
  readonly keys: readonly Place[];
  readonly uploads: Address;
  readonly envelopes: { readonly directory: string } | S3EnvelopesOptions;
  readonly gateway: ChainConfig & { readonly registry: Hex };
  readonly hosts: readonly ChainConfig[];
}

/** For `--help`. */
export const COPROCESSOR_CONFIG = `{
  "stateDirectory": "...",    of this process alone: cursors, unfinished work, what it found
  "accountKeyFile": "...",    64 hex digits; the account that the registry knows as a coprocessor
  "keys": [{"url": "http://parent/keys"}, {"directory": "..."}]
                              certified key records, GET <url>/<key id> or <key id>.key, as nodes serve them; asked in this order
  "uploads": "127.0.0.1:0",   where inputs are brought, PUT /v1/envelopes/<SHA-256>, and envelopes read, GET /v1/ciphertexts/<handle>
  "envelopes": {"directory": "..."}, or {"region": "...", "bucket": "...", "prefix": "...", "endpoint": "http://..."} with
                              the credentials of the environment or the machine; without "endpoint": AWS
  "gateway": {"url": "http://...", "chainId": 1, "registry": "0x...", "startBlock": 0},
  "hosts": [{"url": "http://...", "chainId": 2, "startBlock": 0, "confirmations": 1}]
}
Without "confirmations" only finalized blocks count. A chain is asked for its newest block every "pollMs", 50 unless stated; one with
"headsUrl": "ws://..." when it announces a block there, and at times besides.`;

/** @throws {KmsError} BAD_INPUT */
export async function readCoprocessorConfig(path: string): Promise<CoprocessorConfig> {
  const fields = await Fields.read(path);
  const gateway = fields.object('gateway');
  const envelopes = fields.object('envelopes');
  const config = {
    stateDirectory: fields.text('stateDirectory'),
    accountKeyFile: fields.text('accountKeyFile'),
    keys: places(fields, 'keys'),
    uploads: parseAddress(fields.text('uploads')),
    envelopes: envelopesOf(envelopes),
    gateway: { ...chainConfig(gateway), registry: gateway.address('registry') },
    hosts: fields.list('hosts').map((host) => {
      const one = chainConfig(host);
      host.end();
      return one;
    }),
  };
  envelopes.end();
  gateway.end();
  fields.end();
  return config;
}

function envelopesOf(fields: Fields): CoprocessorConfig['envelopes'] {
  const directory = fields.optionalText('directory');
  if (directory !== undefined) return { directory };
  return {
    endpoint: fields.optionalText('endpoint'),
    region: fields.text('region'),
    bucket: fields.text('bucket'),
    prefix: fields.optionalText('prefix') ?? '',
  };
}
