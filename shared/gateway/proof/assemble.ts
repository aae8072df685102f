import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../../errors.ts';
import { toHex } from '../../wire/bytes.ts';
import { readAccount, readSlot } from './account.ts';
import { type ChainEvidence, compareBytes } from './evidence.ts';
import { readHeader } from './header.ts';
import type { NodeSource } from './trie.ts';

/** What `eth_getProof` answers about one account. */
export interface AccountProof {
  readonly address: Uint8Array;
  /** The slots asked for, in any order. */
  readonly slots: readonly Uint8Array[];
  /** Nodes of all its proofs, in any order, more than once or too many. */
  readonly nodes: readonly Uint8Array[];
}

/**
 * Evidence in its one form, from proofs as nodes of a chain give them. It is walked as an enclave will walk it, so what is
 * assembled verifies.
 * @param header encoding of the header of the block that the proofs are of
 * @throws {KmsError} NOT_PROVEN if a node is missing, BAD_ENCODING
 */
export function assembleEvidence(
  chainId: bigint,
  header: Uint8Array,
  proofs: readonly AccountProof[],
): ChainEvidence {
  const { stateRoot } = readHeader(header);
  const nodes = new Collector(proofs.flatMap((proof) => proof.nodes));
  const accounts = merged(proofs);
  for (const { address, slots } of accounts) {
    const account = readAccount(nodes, stateRoot, address);
    for (const slot of account === undefined ? [] : slots) readSlot(nodes, account!.storageRoot, slot);
  }
  return { chainId, header, accounts, nodes: nodes.used };
}

/** Ascending, each account and slot once, whatever was asked in however many calls. */
function merged(proofs: readonly AccountProof[]): ChainEvidence['accounts'] {
  const unique = (items: readonly Uint8Array[]): readonly Uint8Array[] =>
    [...new Map(items.map((item) => [toHex(item), item])).values()].sort(compareBytes);
  return unique(proofs.map(({ address }) => address)).map((address) => ({
    address,
    slots: unique(
      proofs.filter((one) => compareBytes(one.address, address) === 0).flatMap(({ slots }) => slots),
    ),
  }));
}

/** Keeps the nodes that walks need, in the order in which they first need them. */
class Collector implements NodeSource {
  readonly #known: ReadonlyMap<string, Uint8Array>;
  readonly #used = new Map<string, Uint8Array>();

  constructor(nodes: readonly Uint8Array[]) {
    this.#known = new Map(nodes.map((node) => [toHex(keccak_256(node)), node]));
  }

  get used(): readonly Uint8Array[] {
    return [...this.#used.values()];
  }

  node(hash: Uint8Array): Uint8Array {
    const name = toHex(hash);
    const node = this.#known.get(name);
    if (node === undefined) throw new KmsError('NOT_PROVEN', 'the proofs lack a node');
    this.#used.set(name, node);
    return node;
  }
}
