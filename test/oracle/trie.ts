import { type Hex, keccak256, toHex, toRlp } from 'viem';

/**
 * An independent builder of Merkle-Patricia tries (yellow paper, appendix D): the whole trie at once, from all its entries, with
 * viem's RLP and keccak-256. Nothing of it is in shared/.
 */
export interface BuiltTrie {
  readonly root: Hex;
  /** Nodes known by a hash, from the root to where the key is or would be. */
  proof(key: Uint8Array): readonly Hex[];
}

type Item = Hex | Item[];
type Nibbles = readonly number[];
type Entry = readonly [path: Nibbles, value: Hex];

interface Node {
  readonly rlp: Hex;
  /** What a parent holds of it. */
  readonly reference: Item;
  /** What is below, on the way of these nibbles; and how many of them it takes. */
  next(path: Nibbles): { readonly node: Node; readonly taken: number } | undefined;
}

/** @param entries keys as the trie has them, all of one length, each once */
export function buildTrie(entries: readonly (readonly [Uint8Array, Hex])[]): BuiltTrie {
  if (entries.length === 0) return { root: keccak256('0x80'), proof: () => [] };
  const top = build(entries.map(([key, value]) => [nibblesOf(key), value]));
  return {
    root: keccak256(top.rlp),
    proof(key) {
      const found = [top.rlp];
      let path = nibblesOf(key);
      for (let step = top.next(path); step !== undefined; step = step.node.next(path)) {
        path = path.slice(step.taken);
        if (typeof step.node.reference === 'string') found.push(step.node.rlp);
      }
      return found;
    },
  };
}

/** Of state: an account's four fields. */
export function accountValue(fields: {
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly storageRoot: Hex;
  readonly codeHash: Hex;
}): Hex {
  return toRlp([trimmed(fields.nonce), trimmed(fields.balance), fields.storageRoot, fields.codeHash]);
}

/** Of storage: a word that is not zero. */
export function wordValue(value: bigint): Hex {
  return toRlp(trimmed(value));
}

export function trimmed(value: bigint): Hex {
  if (value === 0n) return '0x';
  const digits = value.toString(16);
  return `0x${digits.length % 2 === 0 ? '' : '0'}${digits}`;
}

export function hexPrefix(path: Nibbles, isLeaf: boolean): Hex {
  const isOdd = path.length % 2 === 1;
  const flag = (isLeaf ? 2 : 0) + (isOdd ? 1 : 0);
  return digits(isOdd ? [flag, ...path] : [flag, 0, ...path]);
}

/** @param entries one or more, whose paths begin here */
function build(entries: readonly Entry[]): Node {
  const [first, ...others] = entries;
  const [path, value] = first!;
  if (others.length === 0) return nodeOf([hexPrefix(path, true), value], () => undefined);
  let shared = 0;
  while (others.every(([other]) => other[shared] === path[shared])) shared++;
  const children = Array.from({ length: 16 }, (_, nibble) => {
    const below = entries.filter(([other]) => other[shared] === nibble);
    return below.length === 0
      ? undefined
      : build(below.map(([other, of]): Entry => [other.slice(shared + 1), of]));
  });
  const branch = nodeOf([...children.map((child) => child?.reference ?? '0x'), '0x'], (rest) => {
    const node = children[rest[0]!];
    return node && { node, taken: 1 };
  });
  if (shared === 0) return branch;
  return nodeOf([hexPrefix(path.slice(0, shared), false), branch.reference], (rest) =>
    path.slice(0, shared).every((nibble, i) => nibble === rest[i])
      ? { node: branch, taken: shared }
      : undefined,
  );
}

function nodeOf(item: Item, next: Node['next']): Node {
  const rlp = toRlp(item);
  return { rlp, reference: (rlp.length - 2) / 2 < 32 ? item : keccak256(rlp), next };
}

function nibblesOf(key: Uint8Array): Nibbles {
  return [...toHex(key).slice(2)].map((digit) => Number.parseInt(digit, 16));
}

function digits(nibbles: Nibbles): Hex {
  return `0x${nibbles.map((nibble) => nibble.toString(16)).join('')}`;
}
