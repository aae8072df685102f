import { KmsError } from '../../shared/errors.ts';
import { utf8 } from '../../shared/wire/bytes.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What an image says of itself, in the form of nitro-cli. Not measured: it is worth what its sender is worth. */
export interface Metadata {
  readonly imageName: string;
  readonly imageVersion: string;
  readonly build: BuildMetadata;
  /** Of the container image that nitro-cli builds from; ours come from none. */
  readonly dockerInfo: Json;
  readonly customMetadata: Json;
}

export interface BuildMetadata {
  /** RFC 3339, of the source and not of the build, so that a rebuild gives the same bytes. */
  readonly time: string;
  readonly tool: string;
  readonly toolVersion: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
}

const MAX_TEXT = 256;

/**
 * RFC 3339 in UTC, as nitro-cli writes it.
 * @param sourceDateSeconds since 1970 (SOURCE_DATE_EPOCH)
 * @throws {KmsError} BAD_INPUT
 */
export function buildTime(sourceDateSeconds: number): string {
  if (!Number.isInteger(sourceDateSeconds) || sourceDateSeconds < 0 || sourceDateSeconds >= 2 ** 32) {
    throw new KmsError('BAD_INPUT', 'the source date is a whole number of seconds since 1970');
  }
  return new Date(sourceDateSeconds * 1000).toISOString().replace(/\.000Z$/, '+00:00');
}

/** Of this writer's bytes: a new number wherever the same parts would give another file. */
const TOOL_VERSION = '1';

/**
 * The metadata section of an image that this project builds.
 * @throws {KmsError} BAD_INPUT, BAD_ENCODING for an empty or overlong text
 */
export function ownMetadata(of: {
  readonly imageName: string;
  readonly imageVersion: string;
  readonly kernelVersion: string;
  readonly sourceDateSeconds: number;
}): Uint8Array {
  return encodeMetadata({
    imageName: of.imageName,
    imageVersion: of.imageVersion,
    build: {
      time: buildTime(of.sourceDateSeconds),
      tool: 'kms eif',
      toolVersion: TOOL_VERSION,
      operatingSystem: 'Linux',
      kernelVersion: of.kernelVersion,
    },
    dockerInfo: {},
    customMetadata: null,
  });
}

/** @throws {KmsError} BAD_ENCODING for an empty or overlong text */
export function encodeMetadata({
  imageName,
  imageVersion,
  build,
  dockerInfo,
  customMetadata,
}: Metadata): Uint8Array {
  const bytes = utf8(
    JSON.stringify({
      ImageName: imageName,
      ImageVersion: imageVersion,
      BuildMetadata: {
        BuildTime: build.time,
        BuildTool: build.tool,
        BuildToolVersion: build.toolVersion,
        OperatingSystem: build.operatingSystem,
        KernelVersion: build.kernelVersion,
      },
      DockerInfo: dockerInfo,
      CustomMetadata: customMetadata,
    }),
  );
  decodeMetadata(bytes);
  return bytes;
}

/** Compact JSON with these fields and no others. @throws {KmsError} BAD_ENCODING */
export function decodeMetadata(bytes: Uint8Array): Metadata {
  const fields = fieldsOf(parsed(bytes), [
    'ImageName',
    'ImageVersion',
    'BuildMetadata',
    'DockerInfo',
    'CustomMetadata',
  ]);
  const build = fieldsOf(fields.BuildMetadata, [
    'BuildTime',
    'BuildTool',
    'BuildToolVersion',
    'OperatingSystem',
    'KernelVersion',
  ]);
  return {
    imageName: textOf(fields.ImageName, 'ImageName'),
    imageVersion: textOf(fields.ImageVersion, 'ImageVersion'),
    build: {
      time: textOf(build.BuildTime, 'BuildTime'),
      tool: textOf(build.BuildTool, 'BuildTool'),
      toolVersion: textOf(build.BuildToolVersion, 'BuildToolVersion'),
      operatingSystem: textOf(build.OperatingSystem, 'OperatingSystem'),
      kernelVersion: textOf(build.KernelVersion, 'KernelVersion'),
    },
    dockerInfo: fields.DockerInfo ?? null,
    customMetadata: fields.CustomMetadata ?? null,
  };
}

/** Compact form leaves no room for a second meaning: no duplicate names, no spelling that parsers disagree on. */
function parsed(bytes: Uint8Array): Json {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: Json = JSON.parse(text);
    if (JSON.stringify(value) === text) return value;
  } catch (cause) {
    throw new KmsError('BAD_ENCODING', "the image's metadata is no JSON", { cause });
  }
  throw new KmsError('BAD_ENCODING', "the image's metadata is not in the compact form of JSON");
}

function fieldsOf(value: Json | undefined, names: readonly string[]): Readonly<Record<string, Json>> {
  if (!isObject(value)) throw bad(`an object with ${names.join(', ')}`);
  const found = Object.keys(value);
  if (found.length !== names.length || !names.every((name) => found.includes(name))) {
    throw bad(`an object with ${names.join(', ')} and nothing else`);
  }
  return value;
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: Json | undefined, name: string): string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT || hasControl(value)) {
    throw bad(`${name} as 1 to ${MAX_TEXT} printable characters`);
  }
  return value;
}

/** Metadata ends up on terminals. */
function hasControl(text: string): boolean {
  return /\p{C}/u.test(text);
}

function bad(expected: string): KmsError {
  return new KmsError('BAD_ENCODING', `the image's metadata lacks ${expected}`);
}
