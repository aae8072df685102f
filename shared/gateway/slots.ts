import { keccak_256 } from '@noble/hashes/sha3.js';
import { KmsError } from '../errors.ts';
import { concat } from '../wire/bytes.ts';
import { addressWord } from './abi.ts';
import { word } from './word.ts';

/**
 * Where the contracts keep what an enclave proves (gateway/README.md). The numbers are those of solc's storage layout,
 * frozen in test/vectors/gateway/storage.json, and a test compares the two.
 */
export const slotNumbers = {
  Registry: {
    currentEpoch: 3,
    members: 5,
    enrolments: 6,
    networkId: 11,
    configurations: 12,
    hostChainHashes: 17,
    anchors: 21,
    anchorVersions: 22,
    contractsHash: 23,
  },
  Keys: { keySlots: 0, keyRecords: 1, commands: 6, phases: 7, epochChange: 9 },
  Ciphertexts: { commitments: 0 },
  Decryptions: { permitNonces: 0, requests: 6, answers: 7 },
  AccessControl: { access: 2, remoteAccess: 4 },
  Compute: { facts: 0, provenances: 1 },
  DecryptionOracle: { requests: 0 },
} as const;

/** Slot of `mapping[k1][k2]...`, each key a word: keccak256(key, slot of the outer one). @returns 32 bytes */
export function mappingSlot(number: number, ...keys: readonly Uint8Array[]): Uint8Array {
  return keys.reduce((slot, key) => keccak_256(concat(key, slot)), word(BigInt(number)));
}

/** Of a variable that is no mapping. @returns 32 bytes */
export function plainSlot(number: number): Uint8Array {
  return word(BigInt(number));
}

/** Of Registry.hostChainHashes. @returns 32 bytes */
export function hostChainSlot(chainId: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Registry.hostChainHashes, word(chainId));
}

/** Of Registry.configurations. @returns 32 bytes */
export function configurationSlot(number: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Registry.configurations, word(number, 64));
}

/** Of Registry.members. @returns 32 bytes */
export function memberSlot(epoch: bigint, party: number): Uint8Array {
  return mappingSlot(slotNumbers.Registry.members, word(epoch, 64), word(BigInt(party), 8));
}

/** Of Registry.enrolments. @returns 32 bytes */
export function enrolmentSlot(epoch: bigint, party: number): Uint8Array {
  return mappingSlot(slotNumbers.Registry.enrolments, word(epoch, 64), word(BigInt(party), 8));
}

/** Of Registry.anchors. @param identity 32 bytes @returns 32 bytes */
export function anchorSlot(identity: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Registry.anchors, identity);
}

/** Of Registry.anchorVersions. @param identity 32 bytes @returns 32 bytes */
export function anchorVersionSlot(identity: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Registry.anchorVersions, identity);
}

/** Of Keys.keySlots. @param keyId 32 bytes @returns 32 bytes */
export function keySlot(keyId: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Keys.keySlots, keyId);
}

/** Of Keys.commands. @returns 32 bytes */
export function commandSlot(id: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Keys.commands, word(id));
}

/** Of Keys.phases. @returns 32 bytes */
export function phaseSlot(id: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Keys.phases, word(id));
}

/** Of Ciphertexts.commitments. @returns 32 bytes */
export function ciphertextSlot(handle: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Ciphertexts.commitments, handle);
}

/** Of Decryptions.requests. @returns 32 bytes */
export function requestSlot(id: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Decryptions.requests, word(id));
}

/** Of Decryptions.answers. @returns 32 bytes */
export function answerSlot(id: bigint): Uint8Array {
  return mappingSlot(slotNumbers.Decryptions.answers, word(id));
}

/** Of Decryptions.permitNonces. @param user 20 bytes @returns 32 bytes */
export function permitNonceSlot(user: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Decryptions.permitNonces, addressWord(user));
}

/** Of AccessControl.access. @param account 20 bytes; zeros stand for everybody @returns 32 bytes */
export function accessSlot(handle: Uint8Array, account: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.AccessControl.access, handle, addressWord(account));
}

/** Of AccessControl.remoteAccess. @param account there, 20 bytes @returns 32 bytes */
export function remoteAccessSlot(handle: Uint8Array, chainId: bigint, account: Uint8Array): Uint8Array {
  const { remoteAccess } = slotNumbers.AccessControl;
  return mappingSlot(remoteAccess, handle, word(chainId), addressWord(account));
}

/** Of Compute.facts. @returns 32 bytes */
export function factsSlot(handle: Uint8Array): Uint8Array {
  return mappingSlot(slotNumbers.Compute.facts, handle);
}

/** Of DecryptionOracle.requests. @returns 32 bytes */
export function oracleSlot(id: bigint): Uint8Array {
  return mappingSlot(slotNumbers.DecryptionOracle.requests, word(id));
}

/** version << 1 | allowed, as AccessControl keeps it. */
export function readAccess(value: bigint): { readonly version: bigint; readonly isAllowed: boolean } {
  return { version: value >> 1n, isAllowed: (value & 1n) === 1n };
}

/** Compute.facts: bound (240 bits), level (4), kind (4), key number (8), from the lowest bit up. */
export function readFacts(value: bigint): {
  readonly bound: bigint;
  readonly level: number;
  readonly kind: number;
  readonly keyNumber: number;
} {
  if (value < 1n || value >> 256n !== 0n)
    throw new KmsError('BAD_INPUT', 'a handle without facts does not exist');
  return {
    bound: value & ((1n << 240n) - 1n),
    level: Number((value >> 240n) & 15n),
    kind: Number((value >> 244n) & 15n),
    keyNumber: Number(value >> 248n),
  };
}

/** Keys.keySlots: state (8 bits), preset (8), epoch (64), destroying command (64). */
export function readKeySlot(value: bigint): {
  readonly state: number;
  readonly preset: number;
  readonly epoch: bigint;
  readonly destroyedBy: bigint;
} {
  return {
    state: Number(value & 255n),
    preset: Number((value >> 8n) & 255n),
    epoch: (value >> 16n) & ((1n << 64n) - 1n),
    destroyedBy: value >> 80n,
  };
}
