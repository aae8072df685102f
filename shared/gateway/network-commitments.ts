import { keccak_256 } from '@noble/hashes/sha3.js';
import { utf8 } from '../wire/bytes.ts';
import { addressWord, encodeStruct, encodeTuple } from './abi.ts';
import { word } from './word.ts';

/** What the registry keeps of the network's contracts, chains and members, each the hash of all its fields. */

/** Registry.contractsHash; addresses of 20 bytes, code hashes keccak-256 of the runtime code. */
export interface GatewayContracts {
  readonly keys: Uint8Array;
  readonly ciphertexts: Uint8Array;
  readonly decryptions: Uint8Array;
  readonly keysCodeHash: Uint8Array;
  readonly ciphertextsCodeHash: Uint8Array;
  readonly decryptionsCodeHash: Uint8Array;
}

/** @throws {KmsError} BAD_INPUT */
export function contractsCommitment(c: GatewayContracts): Uint8Array {
  const addresses = [c.keys, c.ciphertexts, c.decryptions].map(addressWord);
  return keccak_256(
    encodeTuple([...addresses, c.keysCodeHash, c.ciphertextsCodeHash, c.decryptionsCodeHash]),
  );
}

/** Registry.HostChain. */
export interface HostChain {
  readonly chainId: bigint;
  readonly verifier: Uint8Array;
  readonly oracle: Uint8Array;
  readonly accessControl: Uint8Array;
  readonly compute: Uint8Array;
  readonly verifierCodeHash: Uint8Array;
  readonly oracleCodeHash: Uint8Array;
  readonly accessControlCodeHash: Uint8Array;
  readonly computeCodeHash: Uint8Array;
  /** Blocks from the one that is believed to the newest, both counted: 1 believes the newest. */
  readonly confirmations: bigint;
}

/** @throws {KmsError} BAD_INPUT */
export function hostChainCommitment(h: HostChain): Uint8Array {
  return keccak_256(
    encodeStruct([
      word(h.chainId),
      ...[h.verifier, h.oracle, h.accessControl, h.compute].map(addressWord),
      ...[h.verifierCodeHash, h.oracleCodeHash, h.accessControlCodeHash, h.computeCodeHash],
      word(h.confirmations, 64),
    ]),
  );
}

/** Committees.Node. */
export interface MemberNode {
  readonly sender: Uint8Array;
  /** Address whose signatures count as the party's. */
  readonly signer: Uint8Array;
  readonly identity: Uint8Array;
  readonly tlsRoot: Uint8Array;
  readonly epochKey: Uint8Array;
  readonly measurement: Uint8Array;
  readonly endpoint: string;
  readonly organisation: string;
  readonly cloudAccount: string;
  readonly region: string;
}

/** @throws {KmsError} BAD_INPUT */
export function memberCommitment(m: MemberNode): Uint8Array {
  const texts = [m.endpoint, m.organisation, m.cloudAccount, m.region];
  return keccak_256(
    encodeStruct([
      ...[m.sender, m.signer].map(addressWord),
      ...[m.identity, m.tlsRoot, m.epochKey, m.measurement],
      ...texts.map((text) => ({ bytes: utf8(text) })),
    ]),
  );
}
