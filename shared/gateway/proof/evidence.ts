import { KmsError } from '../../errors.ts';
import { bytes, type Codec, decode, encode, fixedBytes, list, struct, u64 } from '../../wire/codec.ts';
import { MAX_HEADER_BYTES } from './header.ts';
import { MAX_NODE_BYTES } from './node.ts';

/** Proofs of slots of one chain at one block (EIP-1186), as anybody may collect them; nothing in it is true by itself. */
export interface ChainEvidence {
  readonly chainId: bigint;
  /** The block header's encoding, whose hash is the block's. */
  readonly header: Uint8Array;
  /** Ascending by address, each once. */
  readonly accounts: readonly AccountEvidence[];
  /** Of all proofs, each once, in the order in which walks from the roots first need them: account, its slots, next account. */
  readonly nodes: readonly Uint8Array[];
}

export interface AccountEvidence {
  /** 20 bytes. */
  readonly address: Uint8Array;
  /** 32 bytes each, ascending, each once. */
  readonly slots: readonly Uint8Array[];
}

/** Gateway, host chain and room for one more. */
export const MAX_CHAINS = 3;
export const MAX_EVIDENCE_BYTES = 4 << 20;
export const MAX_ACCOUNTS = 16;
/** 64 handles with four slots each, and the rest. */
export const MAX_SLOTS = 512;
export const MAX_NODES = 4096;

const ADDRESS_BYTES = 20;
const SLOT_BYTES = 32;

const accountCodec: Codec<AccountEvidence> = struct<AccountEvidence>({
  address: fixedBytes(ADDRESS_BYTES),
  slots: ascending(list(fixedBytes(SLOT_BYTES), MAX_SLOTS), (slot) => slot),
});

const chainCodec: Codec<ChainEvidence> = struct<ChainEvidence>({
  chainId: u64,
  header: bytes(MAX_HEADER_BYTES),
  accounts: ascending(list(accountCodec, MAX_ACCOUNTS), ({ address }) => address),
  nodes: list(bytes(MAX_NODE_BYTES), MAX_NODES),
});

/** One item a chain, ascending by chain id. */
export const evidenceCodec: Codec<readonly ChainEvidence[]> = ascending(
  list(chainCodec, MAX_CHAINS),
  ({ chainId }) => Uint8Array.from({ length: 8 }, (_, i) => Number((chainId >> BigInt(8 * (7 - i))) & 255n)),
);

/** @throws {KmsError} BAD_INPUT, TOO_LARGE */
export function encodeEvidence(chains: readonly ChainEvidence[]): Uint8Array {
  const encoded = encode(evidenceCodec, chains);
  requireSize(encoded);
  return encoded;
}

/** @throws {KmsError} TOO_LARGE, BAD_ENCODING */
export function decodeEvidence(encoded: Uint8Array): readonly ChainEvidence[] {
  requireSize(encoded);
  return decode(evidenceCodec, encoded);
}

/** As the order of evidence has it; both of one length. @returns negative, 0 or positive */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return 0;
}

function requireSize({ length }: Uint8Array): void {
  if (length > MAX_EVIDENCE_BYTES) {
    throw new KmsError('TOO_LARGE', `evidence has at most ${MAX_EVIDENCE_BYTES} bytes`);
  }
}

function ascending<T>(inner: Codec<readonly T[]>, keyOf: (item: T) => Uint8Array): Codec<readonly T[]> {
  const isOrdered = (items: readonly T[]): boolean =>
    items.every((item, i) => i === 0 || compareBytes(keyOf(items[i - 1]!), keyOf(item)) < 0);
  return {
    write(out, items) {
      if (!isOrdered(items))
        throw new KmsError('BAD_INPUT', 'evidence is in ascending order, each item once');
      inner.write(out, items);
    },
    read(from) {
      const items = inner.read(from);
      if (!isOrdered(items))
        throw new KmsError('BAD_ENCODING', 'evidence is in ascending order, each item once');
      return items;
    },
  };
}
