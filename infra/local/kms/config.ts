import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { StandInClass } from '../aws/endpoint-certificate.ts';
import type { Principal } from './principals.ts';

/** The stand-in's configuration: one JSON file. Its secrets are of this machine only. */
export interface KmsConfig {
  /** Absolute; holds the keys in the clear. */
  readonly dataDirectory: string;
  /** On loopback; 0 takes any. */
  readonly port: number;
  readonly region: string;
  /** Whose documents count, and who signs the TLS certificate. */
  readonly class: StandInClass;
  /** False: plain HTTP, for clients that are no enclaves. */
  readonly tls: boolean;
  readonly principals: readonly Principal[];
}

const NAMES = new Set(['dataDirectory', 'port', 'region', 'class', 'tls', 'principals']);
const PRINCIPAL_NAMES = new Set([
  ...['accessKeyId', 'secretAccessKey', 'sessionToken', 'expiresMs', 'arn', 'iamActions'],
]);

/** @throws {Error} that says what to change */
export async function readKmsConfig(path: string): Promise<KmsConfig> {
  const fields = objectOf(JSON.parse(await readFile(path, 'utf8')), path, NAMES);
  const { dataDirectory, port, region, tls, principals } = fields;
  if (typeof dataDirectory !== 'string' || !isAbsolute(dataDirectory))
    throw bad(path, 'dataDirectory', 'a path');
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65535) {
    throw bad(path, 'port', '0..65535');
  }
  if (typeof region !== 'string' || !/^[a-z0-9-]{1,32}$/.test(region)) throw bad(path, 'region', 'a region');
  if (fields.class !== 'mock' && fields.class !== 'lab') throw bad(path, 'class', 'mock or lab');
  if (typeof tls !== 'boolean') throw bad(path, 'tls', 'true or false');
  if (!Array.isArray(principals)) throw bad(path, 'principals', 'a list');
  const read = principals.map((one: unknown) => principalOf(one, path));
  return { dataDirectory, port, region, class: fields.class, tls, principals: read };
}

function principalOf(value: unknown, path: string): Principal {
  const fields = objectOf(value, path, PRINCIPAL_NAMES);
  const text = (name: string): string => {
    const found = fields[name];
    if (typeof found !== 'string' || found === '') throw bad(path, `principals: ${name}`, 'a text');
    return found;
  };
  const arn = text('arn');
  if (!/^arn:aws:iam::\d{12}:(?:root|role\/.+|user\/.+)$/.test(arn))
    throw bad(path, 'principals: arn', 'an IAM ARN');
  const { sessionToken, expiresMs, iamActions } = fields;
  if (expiresMs !== undefined && typeof expiresMs !== 'number')
    throw bad(path, 'principals: expiresMs', 'a time');
  const actions: readonly unknown[] | undefined = iamActions === undefined ? undefined : listOf(iamActions);
  const texts = actions?.filter((one) => typeof one === 'string');
  if (texts?.length !== actions?.length) throw bad(path, 'principals: iamActions', 'a list of texts');
  return {
    ...{ accessKeyId: text('accessKeyId'), secretAccessKey: text('secretAccessKey'), arn },
    ...(sessionToken === undefined ? {} : { sessionToken: text('sessionToken') }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
    ...(texts === undefined ? {} : { iamActions: texts }),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function objectOf(value: unknown, path: string, names: ReadonlySet<string>): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${path} holds no object`);
  const unknown = Object.keys(value).find((name) => !names.has(name));
  if (unknown !== undefined) throw new Error(`${path} has the unknown field ${unknown}`);
  return { ...value };
}

function bad(path: string, name: string, what: string): Error {
  return new Error(`${path}: "${name}" is ${what}`);
}
