import { S3Error } from './s3-error.ts';

/** An element of a document: either elements or text inside. */
export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** Of an element without children; decoded. */
  readonly text: string;
}

export const MAX_XML_BYTES = 4 * 2 ** 20;
const MAX_DEPTH = 8;
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const openTag = /<([A-Za-z][A-Za-z0-9]{0,63})((?: +[\w:]{1,40}="[^"<&]{0,200}")*) *(\/?)>/y;
const closeTag = /<\/([A-Za-z][A-Za-z0-9]{0,63}) *>/y;
const declaration =
  /^\uFEFF?<\?xml version="1\.[01]"(?: encoding="[Uu][Tt][Ff]-8")?(?: standalone="(?:yes|no)")? *\?>/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 cannot hold is what is looked for.
const illegal = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u;

/**
 * Request documents of S3: elements and text. No DOCTYPE, comment, CDATA or processing instruction; attributes are read over.
 * @throws {S3Error} MalformedXML
 */
export function parseXml(bytes: Uint8Array): Element {
  if (bytes.length > MAX_XML_BYTES) throw malformed();
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed();
  }
  if (illegal.test(text)) throw malformed();
  const start = declaration.exec(text)?.[0].length ?? 0;
  const reader = { text, at: start };
  skipSpace(reader);
  const root = readElement(reader, 1);
  skipSpace(reader);
  if (reader.at !== text.length) throw malformed();
  return root;
}

interface Reader {
  readonly text: string;
  at: number;
}

function readElement(reader: Reader, depth: number): Element {
  const open = match(reader, openTag);
  if (open === null || depth > MAX_DEPTH) throw malformed();
  const name = open[1]!;
  if (open[3] === '/') return { name, children: [], text: '' };
  const children: Element[] = [];
  let text = '';
  for (;;) {
    const next = reader.text.indexOf('<', reader.at);
    if (next < 0) throw malformed();
    text += reader.text.slice(reader.at, next);
    reader.at = next;
    const close = match(reader, closeTag);
    if (close !== null) {
      if (close[1] !== name) throw malformed();
      break;
    }
    children.push(readElement(reader, depth + 1));
  }
  if (children.length > 0) {
    if (text.trim() !== '') throw malformed();
    text = '';
  }
  return { name, children, text: decoded(text) };
}

function match(reader: Reader, shape: RegExp): RegExpExecArray | null {
  shape.lastIndex = reader.at;
  const found = shape.exec(reader.text);
  if (found !== null) reader.at += found[0].length;
  return found;
}

function skipSpace(reader: Reader): void {
  while (' \t\r\n'.includes(reader.text[reader.at] ?? 'x')) reader.at += 1;
}

function decoded(text: string): string {
  if (text.includes(']]>')) throw malformed();
  return text.replace(/&([^;&]{0,10});?/g, (whole, name: string) => {
    if (!whole.endsWith(';')) throw malformed();
    const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    if (number === null) {
      const one = Object.hasOwn(entities, name) ? entities[name] : undefined;
      if (one === undefined) throw malformed();
      return one;
    }
    const code = number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
    const one = code <= 0x10ffff ? String.fromCodePoint(code) : '\u0000';
    if (illegal.test(one)) throw malformed();
    return one;
  });
}

/** The text of the only child of that name; undefined if there is none. @throws {S3Error} MalformedXML */
export function childText(element: Element, name: string): string | undefined {
  const found = element.children.filter((child) => child.name === name);
  if (found.length > 1 || found.some((child) => child.children.length > 0)) throw malformed();
  return found[0]?.text;
}

export function malformed(): S3Error {
  return new S3Error('MalformedXML', 'the XML is not well formed or not what the operation takes');
}

/** Content of an element: text, to be escaped, or elements. */
export type Content = string | number | boolean | readonly Written[];
/** Name and content; elements without content are left out. */
export type Written = readonly [name: string, content: Content | undefined];

/** A response document. */
export function writeXml(root: string, content: readonly Written[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${NAMESPACE}">${inside(content)}</${root}>`;
}

/** An error's document has no namespace. */
export function writeErrorXml(content: readonly Written[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inside(content)}</Error>`;
}

function inside(content: Content): string {
  if (typeof content !== 'object') return escaped(`${content}`);
  return content
    .map(([name, one]) => (one === undefined ? '' : `<${name}>${inside(one)}</${name}>`))
    .join('');
}

function escaped(text: string): string {
  return text.replace(
    /[&<>"\r\n]/g,
    (one) =>
      ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;', '\n': '&#10;' })[one] ?? '',
  );
}
