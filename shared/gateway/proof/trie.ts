import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../errors.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { HASH_BYTES, type NodeReference, nibblesOf, readNode, type TrieNode } from './node.ts';
import { encodeRlp } from './rlp.ts';

/** Where a walk gets nodes. */
export interface NodeSource {
  /** The node of a hash, which the source has compared. @throws {KmsError} NOT_PROVEN */
  node(hash: Uint8Array): Uint8Array;
}

/** Root of a trie without any key: keccak-256 of an empty string's encoding. Nobody needs a node to know it. */
export const EMPTY_ROOT: Uint8Array = keccak_256(encodeRlp(new Uint8Array(0)));

/**
 * The value at a key, or undefined where the trie proves that there is none.
 * @param key what the trie's paths are made of: the hash of an address or slot, 32 bytes
 * @throws {KmsError} NOT_PROVEN for missing or wrong nodes, BAD_ENCODING for malformed ones
 */
export function lookUp(source: NodeSource, root: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  if (equalBytes(root, EMPTY_ROOT)) return undefined;
  const nibbles = nibblesOf(key);
  let node = readNode(source.node(root));
  for (let at = 0; ; ) {
    if (node.kind === 'leaf') return leafValue(node, nibbles.subarray(at));
    const step: Step | undefined =
      node.kind === 'branch' ? branchStep(node, nibbles, at) : extend(node, nibbles, at);
    if (step === undefined) return undefined;
    const next = resolve(source, step.child);
    if (node.kind === 'extension' && next.kind !== 'branch') throw bad('an extension leads to a branch');
    at += step.nibbles;
    node = next;
  }
}

/**
 * The nodes of one piece of evidence, in the order in which its walks first need them, each once: so a set of proofs has
 * one form, and none with a node too many.
 */
export class NodeList implements NodeSource {
  readonly #nodes: readonly Uint8Array[];
  readonly #known = new Map<string, Uint8Array>();
  #used = 0;

  constructor(nodes: readonly Uint8Array[]) {
    this.#nodes = nodes;
  }

  node(hash: Uint8Array): Uint8Array {
    const name = toHex(hash);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const next = this.#nodes[this.#used];
    if (next === undefined || !equalBytes(keccak_256(next), hash)) {
      throw new KmsError('NOT_PROVEN', 'a proof lacks the node that its parent names');
    }
    this.#used++;
    this.#known.set(name, next);
    return next;
  }

  /** @throws {KmsError} NOT_PROVEN if a node was not needed */
  end(): void {
    if (this.#used !== this.#nodes.length)
      throw new KmsError('NOT_PROVEN', 'a proof has nodes that prove nothing');
  }
}

interface Step {
  readonly child: NodeReference;
  readonly nibbles: number;
}

type Branch = Extract<TrieNode, { kind: 'branch' }>;
type Extension = Extract<TrieNode, { kind: 'extension' }>;
type Leaf = Extract<TrieNode, { kind: 'leaf' }>;

function branchStep({ children }: Branch, nibbles: Uint8Array, at: number): Step | undefined {
  const nibble = nibbles[at];
  if (nibble === undefined) throw bad('it is deeper than its keys are long');
  const child = children[nibble];
  return child && { child, nibbles: 1 };
}

function extend({ path, child }: Extension, nibbles: Uint8Array, at: number): Step | undefined {
  if (at + path.length >= nibbles.length) throw bad('it is deeper than its keys are long');
  const isOnTheWay = equalBytes(nibbles.subarray(at, at + path.length), path);
  return isOnTheWay ? { child, nibbles: path.length } : undefined;
}

function leafValue({ path, value }: Leaf, rest: Uint8Array): Uint8Array | undefined {
  if (path.length !== rest.length) throw bad('its keys have different lengths');
  return equalBytes(path, rest) ? value : undefined;
}

function resolve(source: NodeSource, child: NodeReference): TrieNode {
  if (child.kind === 'embedded') return child.node;
  const bytes = source.node(child.hash);
  if (bytes.length < HASH_BYTES) throw bad('a node below 32 bytes stands within its parent');
  return readNode(bytes);
}

function bad(what: string): KmsError {
  return new KmsError('BAD_ENCODING', `this is no trie: ${what}`);
}
