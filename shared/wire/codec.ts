import { KmsError } from '../errors.ts';
import {
  type Digest,
  digest,
  type EpochId,
  epochId,
  type KeyId,
  keyId,
  type PartyId,
  partyId,
} from '../ids.ts';
import { concat, fromHex, toHex } from './bytes.ts';

/**
 * Strict binary codecs for everything that is signed, hashed, sealed or sent between enclaves.
 * Little endian, lengths as u32, no optional forms: a value has exactly one encoding, and decoding rejects every other
 * byte string (trailing bytes, lengths above the limit, unknown tags) with BAD_ENCODING.
 */
export interface Codec<T> {
  write(out: Writer, value: T): void;
  read(from: Reader): T;
}

export type Decoded<C> = C extends Codec<infer T> ? T : never;

export class Writer {
  readonly #parts: Uint8Array[] = [];

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  uint(value: number, sizeBytes: 1 | 2 | 4): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * sizeBytes)) {
      throw new KmsError('BAD_INPUT', `${value} does not fit ${sizeBytes} bytes`);
    }
    const bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) bytes[i] = (value / 2 ** (8 * i)) & 255;
    this.raw(bytes);
  }

  finish(): Uint8Array {
    return concat(...this.#parts);
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A copy, so that a decoded value never aliases a network buffer. */
  raw(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.#bytes.length - this.#at) throw new KmsError('BAD_ENCODING', 'message is truncated');
    this.#at += sizeBytes;
    return this.#bytes.slice(this.#at - sizeBytes, this.#at);
  }

  uint(sizeBytes: 1 | 2 | 4): number {
    return this.raw(sizeBytes).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new KmsError('BAD_ENCODING', 'message has trailing bytes');
  }
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const out = new Writer();
  codec.write(out, value);
  return out.finish();
}

/** @throws {KmsError} BAD_ENCODING for anything but the one encoding of a value */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const from = new Reader(bytes);
  let value: T;
  try {
    value = codec.read(from);
  } catch (error) {
    if (error instanceof KmsError && error.code === 'BAD_ENCODING') throw error;
    throw new KmsError('BAD_ENCODING', 'message holds a value outside its domain', { cause: error });
  }
  from.end();
  return value;
}

const unsigned = (sizeBytes: 1 | 2 | 4): Codec<number> => ({
  write: (out, value) => out.uint(value, sizeBytes),
  read: (from) => from.uint(sizeBytes),
});

export const u8: Codec<number> = unsigned(1);
export const u16: Codec<number> = unsigned(2);
export const u32: Codec<number> = unsigned(4);

/** Unsigned 64-bit integer as bigint. */
export const u64: Codec<bigint> = {
  write(out, value) {
    if (value < 0n || value >= 1n << 64n) throw new KmsError('BAD_INPUT', `${value} does not fit 64 bits`);
    out.uint(Number(value & 0xffffffffn), 4);
    out.uint(Number(value >> 32n), 4);
  },
  read(from) {
    const low = BigInt(from.uint(4));
    return low | (BigInt(from.uint(4)) << 32n);
  },
};

export const bool: Codec<boolean> = {
  write: (out, value) => out.uint(value ? 1 : 0, 1),
  read(from) {
    const byte = from.uint(1);
    if (byte > 1) throw new KmsError('BAD_ENCODING', 'a boolean is 0 or 1');
    return byte === 1;
  },
};

export function fixedBytes(sizeBytes: number): Codec<Uint8Array> {
  return {
    write(out, value) {
      if (value.length !== sizeBytes) throw new KmsError('BAD_INPUT', `expected ${sizeBytes} bytes`);
      out.raw(value);
    },
    read: (from) => from.raw(sizeBytes),
  };
}

function readLength(from: Reader, max: number): number {
  const length = from.uint(4);
  if (length > max) throw new KmsError('BAD_ENCODING', `length ${length} exceeds the limit of ${max}`);
  return length;
}

function writeLength(out: Writer, length: number, max: number): void {
  if (length > max) throw new KmsError('TOO_LARGE', `length ${length} exceeds the limit of ${max}`);
  out.uint(length, 4);
}

export function bytes(maxBytes: number): Codec<Uint8Array> {
  return {
    write(out, value) {
      writeLength(out, value.length, maxBytes);
      out.raw(value);
    },
    read: (from) => from.raw(readLength(from, maxBytes)),
  };
}

export function text(maxBytes: number): Codec<string> {
  const raw = bytes(maxBytes);
  return {
    write(out, value) {
      if (!value.isWellFormed()) throw new KmsError('BAD_INPUT', 'text holds half a character');
      raw.write(out, new TextEncoder().encode(value));
    },
    read: (from) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw.read(from)),
  };
}

export function list<T>(item: Codec<T>, maxItems: number): Codec<readonly T[]> {
  return {
    write(out, value) {
      writeLength(out, value.length, maxItems);
      for (const element of value) item.write(out, element);
    },
    read: (from) => Array.from({ length: readLength(from, maxItems) }, () => item.read(from)),
  };
}

/** A value or its absence, one tag byte. */
export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    write(out, value) {
      bool.write(out, value !== undefined);
      if (value !== undefined) item.write(out, value);
    },
    read: (from) => (bool.read(from) ? item.read(from) : undefined),
  };
}

/** Fields in the order of declaration, nothing between them. */
export function struct<T extends object>(fields: { readonly [K in keyof T]: Codec<T[K]> }): Codec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  return {
    write(out, value) {
      for (const name of names) fields[name].write(out, value[name]);
    },
    read(from) {
      const value: Partial<T> = {};
      for (const name of names) value[name] = fields[name].read(from);
      return value as T;
    },
  };
}

/** A discriminated union on `kind`: the variants' order of declaration is their tag. */
export function union<T extends { readonly kind: string }>(
  variants: {
    readonly [K in T['kind']]: Codec<Omit<Extract<T, { kind: K }>, 'kind'>>;
  },
): Codec<T> {
  const kinds = Object.keys(variants) as T['kind'][];
  const codecOf = (kind: T['kind']): Codec<object> => variants[kind] as Codec<object>;
  return {
    write(out, value) {
      const kind: T['kind'] = value.kind;
      out.uint(kinds.indexOf(kind), 1);
      codecOf(kind).write(out, value);
    },
    read(from) {
      const kind = kinds[from.uint(1)];
      if (kind === undefined) throw new KmsError('BAD_ENCODING', 'unknown message kind');
      return { kind, ...codecOf(kind).read(from) } as T;
    },
  };
}

function mapped<A, B>(inner: Codec<A>, to: (value: A) => B, back: (value: B) => A): Codec<B> {
  return { write: (out, value) => inner.write(out, back(value)), read: (from) => to(inner.read(from)) };
}

export const party: Codec<PartyId> = mapped(
  u8,
  (value) => partyId(value),
  (id) => id,
);
export const epoch: Codec<EpochId> = mapped(u32, epochId, (id) => id);
export const key: Codec<KeyId> = mapped(fixedBytes(32), (raw) => keyId(toHex(raw)), fromHex);
export const digest32: Codec<Digest> = mapped(fixedBytes(32), (raw) => digest(toHex(raw)), fromHex);
export const signature64: Codec<Uint8Array> = fixedBytes(64);

/** Residues as little-endian u64, as they lie in memory. */
export function residues(maxCount: number): Codec<BigUint64Array> {
  const raw = bytes(8 * maxCount);
  return mapped(
    raw,
    (value) => {
      if (value.length % 8 !== 0) throw new KmsError('BAD_ENCODING', 'residues are whole 64-bit words');
      return new BigUint64Array(value.buffer, value.byteOffset, value.length / 8);
    },
    (value) => new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  );
}
