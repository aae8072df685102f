import { uriEncode } from '../../aws/canonical-request.ts';
import { type Exchange, pageSize } from '../exchange.ts';
import { compareKeys } from '../names.ts';
import { S3Error } from '../s3-error.ts';
import type { Written } from '../xml.ts';

/** An entry of a list with delimiter: one of the things listed, or a prefix that several have in common. */
export type Entry<T> =
  | { readonly key: string; readonly one: T }
  | { readonly key: string; readonly one: undefined };

export interface Page<T> {
  readonly entries: readonly Entry<T>[];
  readonly truncated: boolean;
}

const MAX_TEXT_CHARACTERS = 1024;

export interface ListRequest {
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  /** How names are written: as they are, or percent-encoded for readers of XML 1.0. */
  readonly written: (name: string) => string;
  readonly encodingType: 'url' | undefined;
}

/** @throws {S3Error} InvalidArgument */
export function listRequest(exchange: Exchange, sizeName: string): ListRequest {
  const encodingType = exchange.query.get('encoding-type');
  if (encodingType !== undefined && encodingType !== 'url') {
    throw new S3Error('InvalidArgument', 'encoding-type can only be url');
  }
  return {
    prefix: shortText(exchange, 'prefix') ?? '',
    delimiter: shortText(exchange, 'delimiter') ?? '',
    limit: pageSize(exchange, sizeName),
    written: encodingType === 'url' ? (name) => uriEncode(name).replaceAll('%2F', '/') : (name) => name,
    encodingType,
  };
}

export function shortText(exchange: Exchange, name: string): string | undefined {
  const text = exchange.query.get(name);
  if (text !== undefined && text.length > MAX_TEXT_CHARACTERS) {
    throw new S3Error('InvalidArgument', `${name} is too long`);
  }
  return text;
}

/**
 * The first `limit` entries.
 * @param items in the order of their keys; several may have one key
 * @param isAfter whether a thing, or a common prefix, comes after what earlier pages held
 */
export function pageOf<T extends { readonly key: string }>(
  items: Iterable<T>,
  { prefix, delimiter, limit }: ListRequest,
  isAfter: (key: string, one: T | undefined) => boolean,
): Page<T> {
  const entries: Entry<T>[] = [];
  for (const one of items) {
    if (!one.key.startsWith(prefix)) continue;
    const end = delimiter === '' ? -1 : one.key.indexOf(delimiter, prefix.length);
    const entry: Entry<T> =
      end < 0 ? { key: one.key, one } : { key: one.key.slice(0, end + delimiter.length), one: undefined };
    const last = entries.at(-1);
    const repeated = entry.one === undefined && last?.one === undefined && last?.key === entry.key;
    if (repeated || !isAfter(entry.key, entry.one)) continue;
    if (entries.length === limit) return { entries, truncated: limit > 0 };
    entries.push(entry);
  }
  return { entries, truncated: false };
}

export function isKeyAfter(key: string, marker: string | undefined): boolean {
  return marker === undefined || compareKeys(key, marker) > 0;
}

export function commonPrefixes<T>(page: Page<T>, written: (name: string) => string): readonly Written[] {
  return page.entries
    .filter(({ one }) => one === undefined)
    .map(({ key }) => ['CommonPrefixes', [['Prefix', written(key)]]]);
}
