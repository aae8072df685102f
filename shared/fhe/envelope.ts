import { KmsError } from '../errors.ts';
import { type Digest, digest, type KeyId } from '../ids.ts';
import type { Residues } from '../math/ring.ts';
import type { Hashes } from '../primitives.ts';
import { toHex, utf8 } from '../wire/bytes.ts';
import { bytes, type Codec, decode, encode, fixedBytes, key, struct, text, u8 } from '../wire/codec.ts';
import type { NoiseBound } from './noise.ts';
import { type Preset, presetByName } from './presets.ts';
import { readCiphertext } from './seal/ciphertext.ts';

/** `scalar`: a constant polynomial, one value; `vector`: N batched values. */
export type ValueKind = 'scalar' | 'vector';

/**
 * What travels with a ciphertext. Nothing in it is secret and, until a proof or the chain says so, nothing is
 * true.
 */
export interface EnvelopeHeader {
  readonly keyId: KeyId;
  readonly preset: Preset;
  readonly kind: ValueKind;
  /** Static noise bound and level (noise.ts), as claimed by whoever sealed the envelope. */
  readonly bound: NoiseBound;
}

export interface Envelope extends EnvelopeHeader {
  /** SEAL's ciphertext bytes, uncompressed: two components, coefficient form, of the level the bound says. */
  readonly body: Uint8Array;
  /** SHA-256 of exactly the envelope's bytes: the one name of this ciphertext, before any switch down. */
  readonly digest: Digest;
  /** Coefficient form, level * N residues. */
  readonly c0: Residues;
  readonly c1: Residues;
}

export const MAX_ENVELOPE_BYTES = 4 << 20;
const MAX_BODY_BYTES = MAX_ENVELOPE_BYTES - 256;
const magic = utf8('kmsc');
const VERSION = 1;

interface Layout {
  magic: Uint8Array;
  version: number;
  keyId: KeyId;
  preset: string;
  kind: number;
  level: number;
  bound: Uint8Array;
  body: Uint8Array;
}

const layout: Codec<Layout> = struct<Layout>({
  magic: fixedBytes(4),
  version: u8,
  keyId: key,
  preset: text(32),
  kind: u8,
  level: u8,
  bound: fixedBytes(32),
  body: bytes(MAX_BODY_BYTES),
});

const kinds: readonly ValueKind[] = ['scalar', 'vector'];

/**
 * Envelope bytes of a SEAL ciphertext.
 * @throws {KmsError} what openEnvelope throws: an envelope that could not be opened is never sealed
 */
export function sealEnvelope(header: EnvelopeHeader, body: Uint8Array): Uint8Array {
  const parsed = readCiphertext(header.preset, body);
  requireLevel(parsed.level, header.bound.level);
  return encode(layout, {
    magic,
    version: VERSION,
    keyId: header.keyId,
    preset: header.preset.name,
    kind: kinds.indexOf(header.kind),
    level: header.bound.level,
    bound: boundBytes(header.bound.bound),
    body,
  });
}

/**
 * Parses and checks every byte: the ciphertext is well formed and of the level claimed. Whether the key id is
 * this service's, and the bound small enough to decrypt (checkDecryptable), is for the caller.
 * @throws {KmsError} TOO_LARGE, BAD_ENCODING, UNKNOWN_PRESET, WRONG_LEVEL (body and header disagree)
 */
export function openEnvelope(envelope: Uint8Array, hashes: Pick<Hashes, 'sha256'>): Envelope {
  if (envelope.length > MAX_ENVELOPE_BYTES) {
    throw new KmsError(
      'TOO_LARGE',
      `a ciphertext has at most ${MAX_ENVELOPE_BYTES} bytes, this one ${envelope.length}`,
    );
  }
  const raw = decode(layout, envelope);
  if (toHex(raw.magic) !== toHex(magic)) throw new KmsError('BAD_ENCODING', 'not a ciphertext envelope');
  if (raw.version !== VERSION)
    throw new KmsError('BAD_ENCODING', `envelope version ${raw.version} is not known`);
  const kind = kinds[raw.kind];
  if (kind === undefined) throw new KmsError('BAD_ENCODING', 'unknown kind of value');
  const preset = presetByName(raw.preset);
  const parsed = readCiphertext(preset, raw.body);
  requireLevel(parsed.level, raw.level);
  return {
    keyId: raw.keyId,
    preset,
    kind,
    bound: { bound: boundFrom(raw.bound), level: raw.level },
    body: raw.body,
    digest: digest(toHex(hashes.sha256(envelope))),
    c0: parsed.c0,
    c1: parsed.c1,
  };
}

function requireLevel(actual: number, claimed: number): void {
  if (actual !== claimed) {
    throw new KmsError('WRONG_LEVEL', `the ciphertext has level ${actual}, its envelope claims ${claimed}`);
  }
}

/** 32 bytes, little endian. */
function boundBytes(bound: bigint): Uint8Array {
  if (bound < 0n || bound >= 1n << 256n)
    throw new KmsError('BAD_INPUT', 'a noise bound is an unsigned 256-bit integer');
  return Uint8Array.from({ length: 32 }, (_, i) => Number((bound >> BigInt(8 * i)) & 255n));
}

function boundFrom(raw: Uint8Array): bigint {
  return raw.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
