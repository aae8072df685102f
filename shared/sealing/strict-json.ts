import { KmsError } from '../errors.ts';

const TOKEN = /[ \t\r\n]+|"[^"\\\p{Cc}]*"|[{}[\]:,]|true|false|null/uy;

/**
 * JSON of texts, booleans, null, lists and objects, whose meaning is the same for every reader: no name twice, no escapes,
 * no numbers. Policies need no more.
 * @throws {KmsError} BAD_ENCODING
 */
export function parseStrictJson(text: string): unknown {
  let compact = '';
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const [token] = TOKEN.exec(text) ?? [];
    if (token === undefined) throw bad('an escape, a number, or no JSON at all');
    if (!/^\s/.test(token)) compact += token;
  }
  let value: unknown;
  try {
    value = JSON.parse(compact);
  } catch (cause) {
    throw bad('no JSON', cause);
  }
  // A name that occurs twice is gone here.
  if (JSON.stringify(value) !== compact) throw bad('a name that occurs twice, or is a number');
  return value;
}

function bad(what: string, cause?: unknown): KmsError {
  return new KmsError('BAD_ENCODING', `JSON: ${what}`, { cause });
}
