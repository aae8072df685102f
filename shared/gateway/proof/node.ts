import { KmsError } from '../../errors.ts';
import { decodeRlp, listOf, type RlpItem, stringOf } from './rlp.ts';

/**
 * A node of a Merkle-Patricia trie whose keys all have one length, as state and storage tries do (keys are hashes), so branches
 * hold no values. Strict: the hex prefix, the references and the shape have one form each.
 */
export type TrieNode =
  | { readonly kind: 'branch'; readonly children: readonly (NodeReference | undefined)[] }
  /** A path of one nibble or more to a branch. */
  | { readonly kind: 'extension'; readonly path: Uint8Array; readonly child: NodeReference }
  | { readonly kind: 'leaf'; readonly path: Uint8Array; readonly value: Uint8Array };

/** Nodes below 32 bytes stand within their parent, others are known by their hash. */
export type NodeReference =
  | { readonly kind: 'hash'; readonly hash: Uint8Array }
  | { readonly kind: 'embedded'; readonly node: TrieNode };

/** A branch of sixteen hashes has 532; a leaf with an account fewer. */
export const MAX_NODE_BYTES = 576;
export const HASH_BYTES = 32;
/** An extension within a branch, its branch, its leaf: more does not fit below 32 bytes. */
const MAX_DEPTH = 4;
const BRANCH_ITEMS = 17;

/** @throws {KmsError} TOO_LARGE, BAD_ENCODING */
export function readNode(bytes: Uint8Array): TrieNode {
  if (bytes.length > MAX_NODE_BYTES) {
    throw new KmsError('TOO_LARGE', `a trie node has at most ${MAX_NODE_BYTES} bytes`);
  }
  return nodeOf(listOf(decodeRlp(bytes, MAX_DEPTH)));
}

/** Nibbles of a key, most significant first. */
export function nibblesOf(key: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: 2 * key.length }, (_, i) =>
    i % 2 === 0 ? key[i >> 1]! >> 4 : key[i >> 1]! & 15,
  );
}

function nodeOf(items: readonly RlpItem[]): TrieNode {
  if (items.length === BRANCH_ITEMS) return branchOf(items);
  if (items.length !== 2) throw bad('it has 17 items or 2');
  const { path, isLeaf } = readHexPrefix(stringOf(items[0]));
  if (isLeaf) {
    const value = stringOf(items[1]);
    if (value.length === 0) throw bad('a leaf has a value');
    return { kind: 'leaf', path, value };
  }
  if (path.length === 0) throw bad('an extension has a path');
  const child = referenceOf(items[1]!);
  if (child === undefined) throw bad('an extension leads to a branch');
  return { kind: 'extension', path, child };
}

function branchOf(items: readonly RlpItem[]): TrieNode {
  if (stringOf(items[BRANCH_ITEMS - 1]).length !== 0) throw bad('no key ends at a branch');
  const children = items.slice(0, -1).map(referenceOf);
  if (children.filter((child) => child !== undefined).length < 2) throw bad('a branch has two children');
  return { kind: 'branch', children };
}

function referenceOf(item: RlpItem): NodeReference | undefined {
  if (!(item instanceof Uint8Array)) {
    if (sizeOf(item) >= HASH_BYTES) throw bad('a node of 32 bytes or more is known by its hash');
    return { kind: 'embedded', node: nodeOf(item) };
  }
  if (item.length === 0) return undefined;
  return { kind: 'hash', hash: stringOf(item, HASH_BYTES) };
}

/** Bytes of the encoding of a list, for those whose parts are below 56 bytes; others are only known to be larger than 32. */
function sizeOf(item: RlpItem): number {
  if (!(item instanceof Uint8Array)) return item.reduce((size, part) => size + sizeOf(part), 1);
  return item.length === 1 && item[0]! < 0x80 ? 1 : 1 + item.length;
}

/** Yellow paper, appendix C: two bits of flags, then the nibbles. */
function readHexPrefix(bytes: Uint8Array): { readonly path: Uint8Array; readonly isLeaf: boolean } {
  // Nothing at all reads like an extension without a path, which is refused.
  const first = bytes[0] ?? 0;
  if (first >> 4 > 3) throw bad('its path has no hex prefix');
  const isOdd = ((first >> 4) & 1) === 1;
  if (!isOdd && (first & 15) !== 0) throw bad('an even path is padded with zero');
  return { path: nibblesOf(bytes).subarray(isOdd ? 1 : 2), isLeaf: first >> 5 === 1 };
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `this is no trie node: ${what}`);
}
