import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import { addressWord, encodeStruct, encodeTuple } from './abi.ts';
import { word } from './word.ts';

/**
 * What the contracts keep in one slot: the hash of every field. The fields travel untrusted and are hashed here, so an enclave
 * that proved the slot knows them. Twins: Requests.hash, Ciphertexts, Commands.hash, DecryptionOracle; what the registry says of
 * contracts, chains and members is in network-commitments.ts.
 * @throws {KmsError} BAD_INPUT for fields that do not fit their types
 */

/** Requests.Request; bytes of 20 and 32. */
export interface GatewayRequest {
  readonly id: bigint;
  /** 1 public, 2 user, 3 transfer. */
  readonly kind: number;
  readonly hostChainId: bigint;
  readonly verifier: Uint8Array;
  /** The contract that asked; the user; the account that a handle is transferred to. */
  readonly consumer: Uint8Array;
  /** Slot of the oracle's request; digest of the permit; destination chain of a transfer. */
  readonly reference: Uint8Array;
  readonly publicKeyHash: Uint8Array;
  readonly keyId: Uint8Array;
  readonly keyState: number;
  /** Who vouched for the permit: 1 its key, 2 a contract wallet, 0 no permit. */
  readonly signedBy: number;
  readonly payer: Uint8Array;
  readonly fee: bigint;
  readonly requestedAt: bigint;
  readonly expiresAt: bigint;
  readonly handles: readonly Uint8Array[];
}

export function requestCommitment(r: GatewayRequest): Uint8Array {
  return keccak_256(
    encodeStruct([
      word(r.id),
      word(BigInt(r.kind), 8),
      word(r.hostChainId),
      addressWord(r.verifier),
      addressWord(r.consumer),
      r.reference,
      r.publicKeyHash,
      r.keyId,
      word(BigInt(r.keyState), 8),
      word(BigInt(r.signedBy), 8),
      addressWord(r.payer),
      word(r.fee),
      word(r.requestedAt, 64),
      word(r.expiresAt, 64),
      r.handles,
    ]),
  );
}

/** Ciphertexts.Ciphertext. */
export interface CommittedCiphertext {
  readonly handle: Uint8Array;
  readonly keyId: Uint8Array;
  /** SHA-256 of the envelope. */
  readonly digest: Uint8Array;
  /** 1 scalar, 2 vector. */
  readonly kind: number;
  readonly level: number;
  readonly bound: bigint;
  readonly provenance: Uint8Array;
}

export function ciphertextCommitment(c: CommittedCiphertext): Uint8Array {
  const numbers = [word(BigInt(c.kind), 8), word(BigInt(c.level), 8), word(c.bound)];
  return keccak_256(encodeStruct([c.handle, c.keyId, c.digest, ...numbers, c.provenance]));
}

/** Commands.Command. */
export interface GatewayCommand {
  readonly id: bigint;
  readonly kind: number;
  readonly epoch: bigint;
  readonly payload: Uint8Array;
  readonly requestedAt: bigint;
  readonly expiresAt: bigint;
}

export function commandCommitment(c: GatewayCommand): Uint8Array {
  const head = [word(c.id), word(BigInt(c.kind), 8), word(c.epoch, 64), keccak_256(c.payload)];
  return keccak_256(encodeTuple([...head, word(c.requestedAt, 64), word(c.expiresAt, 64)]));
}

/** DecryptionOracle.Request. */
export interface OracleRequest {
  readonly id: bigint;
  readonly chainId: bigint;
  readonly oracle: Uint8Array;
  readonly consumer: Uint8Array;
  /** 4 bytes. */
  readonly selector: Uint8Array;
  readonly gasLimit: number;
  readonly keyId: Uint8Array;
  readonly requestedAt: bigint;
  readonly reward: bigint;
  readonly handles: readonly Uint8Array[];
}

export function oracleCommitment(r: OracleRequest): Uint8Array {
  if (r.selector.length !== 4) throw new KmsError('BAD_INPUT', 'a selector has 4 bytes');
  const selector = new Uint8Array(32);
  selector.set(r.selector);
  return keccak_256(
    encodeStruct([
      word(r.id),
      word(r.chainId),
      addressWord(r.oracle),
      addressWord(r.consumer),
      selector,
      word(BigInt(r.gasLimit), 32),
      r.keyId,
      word(r.requestedAt, 64),
      word(r.reward),
      r.handles,
    ]),
  );
}
