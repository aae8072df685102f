import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import type { ValueKind } from '../fhe/envelope.ts';
import { concat, utf8 } from '../wire/bytes.ts';
import { word } from './word.ts';

/** Codes of Compute's operations. */
export const operations = {
  input: 1,
  add: 2,
  sub: 3,
  mul: 4,
  addPlain: 5,
  mulPlain: 6,
  negate: 7,
  switchDown: 8,
} as const;

/** Everything a handle is derived from; twin of Handles.Derivation. */
export interface Derivation {
  readonly operation: number;
  /** Handles, 32 bytes each. */
  readonly inputs: readonly Uint8Array[];
  /** Digest of an input's envelope, a plain operand, or zeros; 32 bytes. */
  readonly argument: Uint8Array;
  readonly keyId: Uint8Array;
  readonly kind: ValueKind;
  readonly level: number;
  readonly bound: bigint;
  readonly chainId: bigint;
  /** 20 bytes. */
  readonly compute: Uint8Array;
  readonly nonce: bigint;
}

const DOMAIN = keccak_256(utf8('kms/v1/handle'));
const VERSION = 1;
const MAX_CHAIN_ID = (1n << 48n) - 1n;
const kinds: readonly ValueKind[] = ['scalar', 'vector'];

/** The whole digest of a derivation; a ciphertext's commitment names it. */
export function provenanceOf(d: Derivation): Uint8Array {
  return keccak_256(
    concat(
      DOMAIN,
      word(BigInt(d.operation)),
      keccak_256(concat(...d.inputs)),
      d.argument,
      d.keyId,
      word(BigInt(kindCode(d.kind))),
      word(BigInt(d.level)),
      word(d.bound),
      word(d.chainId),
      concat(new Uint8Array(12), d.compute),
      word(d.nonce),
    ),
  );
}

/**
 * 32 bytes: 24 of the provenance, 6 of the chain id, kind (1 scalar, 2 vector), version 1.
 * @throws {KmsError} BAD_INPUT
 */
export function handleOf(d: Derivation): Uint8Array {
  if (d.chainId < 1n || d.chainId > MAX_CHAIN_ID) {
    throw new KmsError('BAD_INPUT', `chain id ${d.chainId} does not fit a handle`);
  }
  const chain = word(d.chainId).subarray(26);
  return concat(provenanceOf(d).subarray(0, 24), chain, Uint8Array.of(kindCode(d.kind), VERSION));
}

/** What a handle says of itself; that it exists is known to its chain alone. @throws {KmsError} BAD_ENCODING */
export function readHandle(handle: Uint8Array): { readonly chainId: bigint; readonly kind: ValueKind } {
  const kind = kinds[(handle[30] ?? 0) - 1];
  const chainId = handle.subarray(24, 30).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (handle.length !== 32 || handle[31] !== VERSION || kind === undefined || chainId === 0n) {
    throw new KmsError('BAD_ENCODING', 'this is no handle: it has 32 bytes, a chain, a kind and version 1');
  }
  return { chainId, kind };
}

function kindCode(kind: ValueKind): number {
  return kinds.indexOf(kind) + 1;
}
