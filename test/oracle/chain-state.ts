import { bytesToHex, type Hex, hexToBytes, keccak256, toRlp } from 'viem';
import { accountValue, type BuiltTrie, buildTrie, trimmed, wordValue } from './trie.ts';

/** A chain that consists of one block, whose state holds whatever a test wants. */
export interface StatedAccount {
  readonly address: Uint8Array;
  readonly codeHash: Uint8Array;
  /** Words by slot, in hex; zeros are left out. */
  readonly storage: ReadonlyMap<string, bigint>;
}

export interface Block {
  readonly header: Uint8Array;
  readonly hash: Uint8Array;
  /** As eth_getProof gives them; nothing about accounts that do not exist but the proof of that. */
  prove(
    address: Uint8Array,
    slots: readonly Uint8Array[],
  ): {
    readonly address: Uint8Array;
    readonly slots: readonly Uint8Array[];
    readonly nodes: readonly Uint8Array[];
  };
}

const EMPTY: Hex = keccak256('0x80');
const ZERO: Hex = `0x${'00'.repeat(32)}`;

/** A header as since Prague. */
export function headerOf(stateRoot: Hex, number: bigint, timestamp: bigint): Hex {
  return toRlp([
    ...[keccak256('0x01'), keccak256('0xc0'), `0x${'11'.repeat(20)}` as const, stateRoot, EMPTY, EMPTY],
    ...[
      `0x${'00'.repeat(256)}` as const,
      '0x' as const,
      trimmed(number),
      trimmed(30_000_000n),
      '0x' as const,
    ],
    ...[trimmed(timestamp), '0x' as const, ZERO, `0x${'00'.repeat(8)}` as const],
    ...[trimmed(7n), EMPTY, '0x' as const, '0x' as const, ZERO, keccak256('0x')],
  ]);
}

export function blockOf(number: bigint, timestamp: bigint, accounts: readonly StatedAccount[]): Block {
  const storages = new Map<Hex, BuiltTrie>();
  const entries = accounts.map(({ address, codeHash, storage }): readonly [Uint8Array, Hex] => {
    const words = [...storage].filter(([, value]) => value !== 0n);
    const trie = buildTrie(
      words.map(([slot, value]) => [keccak256(`0x${slot}`, 'bytes'), wordValue(value)] as const),
    );
    storages.set(bytesToHex(address), trie);
    const fields = { nonce: 1n, balance: 0n, storageRoot: trie.root, codeHash: bytesToHex(codeHash) };
    return [keccak256(address, 'bytes'), accountValue(fields)];
  });
  const state = buildTrie(entries);
  const header = hexToBytes(headerOf(state.root, number, timestamp));
  return {
    header,
    hash: keccak256(header, 'bytes'),
    prove(address, slots) {
      const storage = storages.get(bytesToHex(address));
      const nodes = [
        ...state.proof(keccak256(address, 'bytes')),
        ...slots.flatMap((slot) => storage?.proof(keccak256(slot, 'bytes')) ?? []),
      ];
      return { address, slots, nodes: nodes.map((node) => hexToBytes(node)) };
    },
  };
}
