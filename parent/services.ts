import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { KMSClient } from '@aws-sdk/client-kms';
import { KmsError } from '../shared/errors.ts';
import type { PartyId } from '../shared/ids.ts';
import { decodeConfigurations, MAX_CONFIGURATION_FILE_BYTES } from '../shared/network/configuration-file.ts';
import { MAX_GENESIS_BYTES } from '../shared/network/genesis.ts';
import { encodeSignedConfiguration } from '../shared/network/signed-configuration.ts';
import {
  credentialsCodec,
  introductionCodec,
  type LentCredentials,
  type ParentService,
} from '../shared/parent-service.ts';
import { concat } from '../shared/wire/bytes.ts';
import { encode, u32 } from '../shared/wire/codec.ts';

export interface ServiceFiles {
  /** Undefined: the node is told its network by its operator. */
  readonly genesisFile: string | undefined;
  readonly configurationsFile: string;
  /** Which member the node is, for one that starts again. */
  readonly party: PartyId | undefined;
  /** JSON: accessKeyId, secretAccessKey, sessionToken, expires. Undefined: those of the instance's role. */
  readonly credentialsFile: string | undefined;
}

const MAX_CREDENTIALS_BYTES = 64 * 1024;
const ANSWER_MS = 5_000;

/** What the enclave asks of its parent: which network it belongs to, and credentials that authorise its requests. */
export class EnclaveServices {
  readonly #files: ServiceFiles;
  #role: KMSClient | undefined;

  constructor(files: ServiceFiles) {
    this.#files = files;
  }

  /** Answers one question and ends the stream; without an answer it just ends. */
  async answer(service: ParentService, stream: Duplex): Promise<void> {
    stream.on('error', () => stream.destroy());
    const timer = setTimeout(() => stream.destroy(), ANSWER_MS);
    stream.once('close', () => clearTimeout(timer));
    try {
      const answer = service === 'introduction' ? await this.#introduction() : await this.#credentials();
      // The enclave ends the stream when it has read the answer.
      stream.write(concat(encode(u32, answer.length), answer));
      stream.resume();
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  async #introduction(): Promise<Uint8Array> {
    const { genesisFile, configurationsFile, party } = this.#files;
    if (genesisFile === undefined) throw new KmsError('UNAVAILABLE', 'this parent knows no genesis');
    const genesis = await readBounded(genesisFile, MAX_GENESIS_BYTES);
    const configurations = decodeConfigurations(
      await readBounded(configurationsFile, MAX_CONFIGURATION_FILE_BYTES),
    );
    return encode(introductionCodec, {
      genesis,
      configurations: configurations.map(encodeSignedConfiguration),
      party,
    });
  }

  async #credentials(): Promise<Uint8Array> {
    const { credentialsFile } = this.#files;
    const lent =
      credentialsFile === undefined ? await this.#ofRole() : await readCredentials(credentialsFile);
    return encode(credentialsCodec, lent);
  }

  async #ofRole(): Promise<LentCredentials> {
    // The SDK's own chain: environment, files, the instance's metadata service.
    this.#role ??= new KMSClient({});
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await this.#role.config.credentials();
    const expiresMs = expiration === undefined ? undefined : BigInt(expiration.getTime());
    return { accessKeyId, secretAccessKey, sessionToken, expiresMs };
  }
}

async function readCredentials(path: string): Promise<LentCredentials> {
  const text = new TextDecoder().decode(await readBounded(path, MAX_CREDENTIALS_BYTES));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Without the cause, which would quote the file.
    throw new KmsError('BAD_INPUT', `${path} is no JSON`);
  }
  const fields = new Map<string, unknown>(
    typeof value === 'object' && value !== null ? Object.entries(value) : [],
  );
  const optional = (name: string): string | undefined => {
    const found = fields.get(name);
    if (found !== undefined && typeof found !== 'string')
      throw new KmsError('BAD_INPUT', `${path}: "${name}" is a text`);
    return found;
  };
  const required = (name: string): string => {
    const found = optional(name);
    if (found === undefined) throw new KmsError('BAD_INPUT', `${path} lacks "${name}"`);
    return found;
  };
  const expires = optional('expires');
  const expiresMs = expires === undefined ? undefined : Date.parse(expires);
  if (Number.isNaN(expiresMs)) throw new KmsError('BAD_INPUT', `${path}: "expires" is a time of ISO 8601`);
  return {
    accessKeyId: required('accessKeyId'),
    secretAccessKey: required('secretAccessKey'),
    sessionToken: optional('sessionToken'),
    expiresMs: expiresMs === undefined ? undefined : BigInt(expiresMs),
  };
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > maxBytes) throw new RangeError('file is too large');
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new KmsError('UNAVAILABLE', `cannot read ${path}`, { cause });
  }
}
