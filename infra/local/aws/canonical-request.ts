/**
 * The canonical forms of Signature Version 4.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */

/** As Node's IncomingHttpHeaders: lower-case names. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** UriEncode of the specification: everything but A-Z a-z 0-9 - . _ ~ becomes %XY of its UTF-8 bytes. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * The names and values of a raw query string, in its order. "+" stands for itself, as in the specification.
 * @throws {URIError} on a bad percent encoding or bytes that are not UTF-8
 */
export function parseQuery(raw: string): readonly (readonly [name: string, value: string])[] {
  if (raw === '') return [];
  return raw.split('&').map((pair) => {
    const at = pair.indexOf('=');
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    return [decodeURIComponent(name), decodeURIComponent(value)];
  });
}

/** @throws {URIError} */
export function canonicalQuery(raw: string): string {
  const pairs = parseQuery(raw).map(([name, value]) => [uriEncode(name), uriEncode(value)] as const);
  pairs.sort(([a, x], [b, y]) => ascending(a, b) || ascending(x, y));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

/**
 * S3 signs the path as it names the object, encoded once; every other service signs its normalized form, encoded twice.
 * @param path as on the request line, without the query
 * @throws {URIError}
 */
export function canonicalPath(path: string, service: string): string {
  const encoded = path.split('/').map((segment) => uriEncode(decodeURIComponent(segment)));
  if (service === 's3') return encoded.join('/');
  const kept: string[] = [];
  for (const segment of encoded) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(uriEncode(segment));
  }
  const last = encoded.at(-1);
  const open = kept.length > 0 && (last === '' || last === '.' || last === '..');
  return `/${kept.join('/')}${open ? '/' : ''}`;
}

/** Trimmed, runs of spaces are one; undefined if there is no such header. */
export function canonicalHeader(headers: Headers, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (value === undefined) return undefined;
  const parts = typeof value === 'string' ? [value] : value;
  return parts.map((part) => part.trim().replace(/ +/g, ' ')).join(',');
}

function ascending(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
