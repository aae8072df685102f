import { KmsError } from '../../errors.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { readAccount, readSlot } from './account.ts';
import { type AccountEvidence, type ChainEvidence, MAX_SLOTS } from './evidence.ts';
import { type BlockHeader, readHeader } from './header.ts';
import { NodeList } from './trie.ts';

/** The block that a reader trusts: k of m endpoints named its hash. */
export interface TrustedBlock {
  readonly chainId: bigint;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

interface ProvenAccount {
  readonly codeHash: Uint8Array;
  readonly words: ReadonlyMap<string, bigint>;
}

/** Words of one chain's state at one block, every one of them proven before the first is read. */
export class ProvenChain {
  readonly chainId: bigint;
  readonly header: BlockHeader;
  readonly #accounts: ReadonlyMap<string, ProvenAccount>;

  private constructor(chainId: bigint, header: BlockHeader, accounts: ReadonlyMap<string, ProvenAccount>) {
    this.chainId = chainId;
    this.header = header;
    this.#accounts = accounts;
  }

  /**
   * @param evidence untrusted, decoded
   * @throws {KmsError} NOT_PROVEN, BAD_ENCODING, TOO_LARGE
   */
  static open(evidence: ChainEvidence, block: TrustedBlock): ProvenChain {
    const slots = evidence.accounts.reduce((count, account) => count + account.slots.length, 0);
    if (slots > MAX_SLOTS) throw new KmsError('TOO_LARGE', `evidence has at most ${MAX_SLOTS} slots a chain`);
    const header = readHeader(evidence.header);
    if (evidence.chainId !== block.chainId || !equalBytes(header.hash, block.hash)) {
      throw new KmsError('NOT_PROVEN', 'the evidence is of another block or another chain');
    }
    const nodes = new NodeList(evidence.nodes);
    const prove = ({ address, slots }: AccountEvidence): readonly [string, ProvenAccount] => {
      const account = readAccount(nodes, header.stateRoot, address);
      if (account === undefined) throw notProven(address, 'no account');
      const { storageRoot, codeHash } = account;
      const words = slots.map((slot) => [toHex(slot), readSlot(nodes, storageRoot, slot)] as const);
      return [toHex(address), { codeHash, words: new Map(words) }];
    };
    const accounts = new Map(evidence.accounts.map(prove));
    nodes.end();
    return new ProvenChain(block.chainId, header, accounts);
  }

  /** keccak-256 of the code at an address. @throws {KmsError} NOT_PROVEN */
  codeHash(address: Uint8Array): Uint8Array {
    return this.#account(address).codeHash;
  }

  /**
   * A word of the storage of the contract that the caller knows.
   * @param codeHash keccak-256 of its runtime code @param slot 32 bytes
   * @throws {KmsError} NOT_PROVEN for other code and for a slot that the evidence does not hold
   */
  word(address: Uint8Array, codeHash: Uint8Array, slot: Uint8Array): bigint {
    const account = this.#account(address);
    if (!equalBytes(account.codeHash, codeHash)) throw notProven(address, 'other code');
    const word = account.words.get(toHex(slot));
    if (word === undefined) throw notProven(address, `no proof of slot ${toHex(slot)}`);
    return word;
  }

  #account(address: Uint8Array): ProvenAccount {
    const account = this.#accounts.get(toHex(address));
    if (account === undefined) throw notProven(address, 'no proof');
    return account;
  }
}

function notProven(address: Uint8Array, what: string): KmsError {
  return new KmsError('NOT_PROVEN', `the evidence shows ${what} at ${toHex(address)}`);
}
