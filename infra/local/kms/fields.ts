import { invalid, ServiceError } from './service-error.ts';

const MAX_CONTEXT_ENTRIES = 64;

/** The members of a request of the AWS JSON protocol, each taken with its type. */
export class Fields {
  readonly #members: ReadonlyMap<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ServiceError('SerializationException', 'the request is no JSON object');
    }
    this.#members = new Map(Object.entries(value));
  }

  static parse(body: Uint8Array): Fields {
    try {
      return new Fields(JSON.parse(Buffer.from(body).toString('utf8')));
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      throw new ServiceError('SerializationException', 'the request is no JSON');
    }
  }

  has(name: string): boolean {
    return (this.#members.get(name) ?? undefined) !== undefined;
  }

  text(name: string): string {
    const value = this.#members.get(name);
    if (typeof value !== 'string' || value === '') throw invalid(`${name} is a text`);
    return value;
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined;
  }

  bytes(name: string, maxBytes: number): Buffer {
    const text = this.text(name);
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text)
      throw new ServiceError('SerializationException', `${name} is no base64`);
    if (bytes.length > maxBytes) throw invalid(`${name} has at most ${maxBytes} bytes`);
    return bytes;
  }

  integer(name: string, min: number, max: number): number {
    const value = this.#members.get(name);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw invalid(`${name} is an integer ${min}..${max}`);
    }
    return value;
  }

  flag(name: string): boolean {
    const value = this.#members.get(name) ?? false;
    if (typeof value !== 'boolean') throw invalid(`${name} is true or false`);
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.#members.get(name);
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    const texts = list.filter((one) => typeof one === 'string');
    if (texts.length === 0 || texts.length !== list.length) throw invalid(`${name} is a list of texts`);
    return texts;
  }

  /** Nested members; none if absent. */
  nested(name: string): Fields | undefined {
    return this.has(name) ? new Fields(this.#members.get(name)) : undefined;
  }

  /** An encryption context; empty if absent. */
  context(name: string): ReadonlyMap<string, string> {
    const nested = this.nested(name);
    if (nested === undefined) return new Map();
    const names = [...nested.#members.keys()];
    if (names.length > MAX_CONTEXT_ENTRIES) throw invalid(`${name} has too many entries`);
    return new Map(names.map((one) => [one, nested.text(one)]));
  }
}
