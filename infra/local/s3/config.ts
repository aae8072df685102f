import { readFile } from 'node:fs/promises';
import { type Address, parseAddress } from '../../../shared/address.ts';
import { KmsError } from '../../../shared/errors.ts';
import type { Credential } from '../aws/credential.ts';

/** The server's configuration: one JSON file. It holds the secrets of local credentials, which open nothing else. */
export interface S3Config {
  readonly listen: Address;
  readonly directory: string;
  readonly region: string;
  readonly credentials: readonly Credential[];
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
}

const MAX_CONFIG_BYTES = 1024 * 1024;
const MAX_CREDENTIALS = 1_000;

/** @throws {KmsError} BAD_INPUT */
export async function readS3Config(path: string): Promise<S3Config> {
  const fields = new Fields(path, '', parseJson(path, await readText(path)));
  const listen = parseAddress(fields.text('listen'));
  const directory = fields.text('directory');
  const region = fields.optionalText('region') ?? 'us-east-1';
  const list = fields.take('credentials');
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_CREDENTIALS) {
    throw bad(path, `"credentials" is a list of 1..${MAX_CREDENTIALS}`);
  }
  const credentials = list.map((one: unknown, i) =>
    credentialOf(new Fields(path, `credentials[${i}].`, one)),
  );
  if (new Set(credentials.map((one) => one.accessKeyId)).size !== credentials.length) {
    throw bad(path, 'two credentials have one accessKeyId');
  }
  const tls = fields.take('tls');
  fields.end();
  if (tls === undefined) return { listen, directory, region, credentials, tls: undefined };
  const files = new Fields(path, 'tls.', tls);
  const certificateFile = files.text('certificateFile');
  const keyFile = files.text('keyFile');
  files.end();
  const pair = { certificate: await readText(certificateFile), key: await readText(keyFile) };
  return { listen, directory, region, credentials, tls: pair };
}

function credentialOf(fields: Fields): Credential {
  const accessKeyId = fields.text('accessKeyId', /^[\w.-]{1,128}$/);
  const secretAccessKey = fields.text('secretAccessKey');
  const account = fields.text('account', /^\d{12}$/);
  const sessionToken = fields.optionalText('sessionToken');
  const expires = fields.optionalText('expires');
  const expiresMs = expires === undefined ? undefined : Date.parse(expires);
  if (Number.isNaN(expiresMs)) throw fields.wrong('expires', 'is a time of ISO 8601');
  fields.end();
  return {
    accessKeyId,
    secretAccessKey,
    account,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
  };
}

/** An object whose fields are taken one by one, so that what is left over is known. */
class Fields {
  readonly #path: string;
  readonly #where: string;
  readonly #left: Map<string, unknown>;

  constructor(path: string, where: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw bad(path, `${where === '' ? 'the file' : where.slice(0, -1)} is an object`);
    }
    this.#path = path;
    this.#where = where;
    this.#left = new Map(Object.entries(value));
  }

  take(name: string): unknown {
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  optionalText(name: string, shape = /^.{1,4096}$/s): string | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !shape.test(value)) throw this.wrong(name, `is a text like ${shape}`);
    return value;
  }

  text(name: string, shape?: RegExp): string {
    const value = this.optionalText(name, shape);
    if (value === undefined) throw this.wrong(name, 'is missing');
    return value;
  }

  wrong(name: string, what: string): KmsError {
    return bad(this.#path, `"${this.#where}${name}" ${what}`);
  }

  end(): void {
    const [name] = this.#left.keys();
    if (name !== undefined) throw this.wrong(name, 'is no field');
  }
}

async function readText(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_CONFIG_BYTES) throw new RangeError('file is too large');
    return text;
  } catch (cause) {
    throw new KmsError('BAD_INPUT', `${path} cannot be read`, { cause });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause, which would quote the file.
    throw bad(path, 'the file is not JSON');
  }
}

function bad(path: string, what: string): KmsError {
  return new KmsError('BAD_INPUT', `${path}: ${what}`);
}
