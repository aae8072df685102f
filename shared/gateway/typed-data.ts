/**
 * The typed data (EIP-712) of a network: what nodes sign for contracts, and users for their permits. Public data. The Solidity
 * twins are gateway/contracts/common/{Results,Ceremonies,Membership}.sol; both are frozen in
 * test/vectors/gateway/typed-data.json.
 */

/** Field types in use: no nested structs. */
export type FieldType =
  | 'address'
  | 'bool'
  | 'bytes'
  | 'bytes32'
  | 'uint8'
  | 'uint32'
  | 'uint64'
  | 'uint256'
  | 'address[]'
  | 'bytes32[]';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
}

/** In declaration order, which is the order of encoding. */
export const typedData = {
  /** A plaintext that everybody may know, for the contract that asked. */
  PublicDecryption: [
    { name: 'requestId', type: 'uint256' },
    { name: 'destinationChainId', type: 'uint256' },
    { name: 'verifier', type: 'address' },
    { name: 'consumer', type: 'address' },
    { name: 'hostRequest', type: 'bytes32' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'keyState', type: 'uint8' },
    { name: 'epoch', type: 'uint64' },
    { name: 'handles', type: 'bytes32[]' },
    { name: 'result', type: 'bytes' },
  ],
  /** One party's sealed share for one user; the digest is SHA-256 of the signed envelope. */
  UserDecryptionShare: [
    { name: 'requestId', type: 'uint256' },
    { name: 'destinationChainId', type: 'uint256' },
    { name: 'user', type: 'address' },
    { name: 'publicKeyHash', type: 'bytes32' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'keyState', type: 'uint8' },
    { name: 'epoch', type: 'uint64' },
    { name: 'party', type: 'uint8' },
    { name: 'handles', type: 'bytes32[]' },
    { name: 'shareDigest', type: 'bytes32' },
  ],
  /** A permit: what a wallet signs so that its own plaintexts are sealed to one X-Wing key. */
  UserDecryptionRequest: [
    { name: 'user', type: 'address' },
    { name: 'delegate', type: 'address' },
    { name: 'publicKeyHash', type: 'bytes32' },
    { name: 'hostChainId', type: 'uint256' },
    { name: 'context', type: 'address' },
    { name: 'validFrom', type: 'uint64' },
    { name: 'validUntil', type: 'uint64' },
    { name: 'nonce', type: 'uint256' },
  ],
  /** Which shares answer a request; a leaf of a batch. */
  UserDecryption: [
    { name: 'requestId', type: 'uint256' },
    { name: 'parties', type: 'uint256' },
    { name: 'shareDigests', type: 'bytes32[]' },
  ],
  /** Many results under one set of signatures; leaves are struct hashes of PublicDecryption and UserDecryption. */
  ResultBatch: [
    { name: 'root', type: 'bytes32' },
    { name: 'count', type: 'uint32' },
    { name: 'epoch', type: 'uint64' },
  ],
  /** A handle of one host chain that an account of another may use, after the enclaves proved the grant. */
  HandleTransfer: [
    { name: 'requestId', type: 'uint256' },
    { name: 'handle', type: 'bytes32' },
    { name: 'originChainId', type: 'uint256' },
    { name: 'destinationChainId', type: 'uint256' },
    { name: 'account', type: 'address' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'kind', type: 'uint8' },
    { name: 'level', type: 'uint8' },
    { name: 'bound', type: 'uint256' },
    { name: 'epoch', type: 'uint64' },
  ],
  /** A key exists: its record has this digest. */
  KeyGeneration: [
    { name: 'commandId', type: 'uint256' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'preset', type: 'uint8' },
    { name: 'epoch', type: 'uint64' },
    { name: 'recordDigest', type: 'bytes32' },
  ],
  /** A common reference string exists. */
  CrsGeneration: [
    { name: 'commandId', type: 'uint256' },
    { name: 'crsId', type: 'bytes32' },
    { name: 'size', type: 'uint32' },
    { name: 'epoch', type: 'uint64' },
    { name: 'contributors', type: 'uint256' },
    { name: 'digest', type: 'bytes32' },
  ],
  /** A public key that carries ciphertexts from one key to another. */
  SwitchingKey: [
    { name: 'commandId', type: 'uint256' },
    { name: 'fromKey', type: 'bytes32' },
    { name: 'toKey', type: 'bytes32' },
    { name: 'epoch', type: 'uint64' },
    { name: 'digest', type: 'bytes32' },
  ],
  /** A key went from one state to the next; for destruction, the signer erased. */
  LifecycleTransition: [
    { name: 'commandId', type: 'uint256' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'fromState', type: 'uint8' },
    { name: 'toState', type: 'uint8' },
    { name: 'epoch', type: 'uint64' },
  ],
  /** One party's fragments of a key are with the custodians. */
  Backup: [
    { name: 'commandId', type: 'uint256' },
    { name: 'keyId', type: 'bytes32' },
    { name: 'epoch', type: 'uint64' },
    { name: 'party', type: 'uint8' },
    { name: 'custodians', type: 'bytes32' },
    { name: 'digest', type: 'bytes32' },
  ],
  /** A party's shares were restored to a new identity; the old one is revoked. */
  Recovery: [
    { name: 'commandId', type: 'uint256' },
    { name: 'epoch', type: 'uint64' },
    { name: 'party', type: 'uint8' },
    { name: 'oldIdentity', type: 'bytes32' },
    { name: 'newIdentity', type: 'bytes32' },
    { name: 'keysHash', type: 'bytes32' },
    { name: 'custodians', type: 'bytes32' },
  ],
  /** By a party of the new committee: which parties' packets it holds, and whether it decoded all its shares. */
  EpochChange: [
    { name: 'commandId', type: 'uint256' },
    { name: 'fromEpoch', type: 'uint64' },
    { name: 'toEpoch', type: 'uint64' },
    { name: 'party', type: 'uint8' },
    { name: 'keysHash', type: 'bytes32' },
    { name: 'served', type: 'uint256' },
    { name: 'confirmed', type: 'bool' },
  ],
  /** By the old committee, for verifiers on other chains. */
  CommitteeChange: [
    { name: 'fromEpoch', type: 'uint64' },
    { name: 'toEpoch', type: 'uint64' },
    { name: 't', type: 'uint8' },
    { name: 'signers', type: 'address[]' },
    { name: 'graceSeconds', type: 'uint64' },
  ],
  /** By enclaves that verified the attestation of the enrolled one. */
  NodeEnrolment: [
    { name: 'epoch', type: 'uint64' },
    { name: 'party', type: 'uint8' },
    { name: 'signer', type: 'address' },
    { name: 'identity', type: 'bytes32' },
    { name: 'tlsRoot', type: 'bytes32' },
    { name: 'measurement', type: 'bytes32' },
    { name: 'document', type: 'bytes32' },
  ],
  /** A node's own state version and the head of its audit log. */
  Anchor: [
    { name: 'identity', type: 'bytes32' },
    { name: 'version', type: 'uint64' },
    { name: 'state', type: 'bytes32' },
    { name: 'auditHead', type: 'bytes32' },
  ],
} as const satisfies Readonly<Record<string, readonly Field[]>>;

export type TypedName = keyof typeof typedData;

export const typedNames: readonly TypedName[] = [
  'PublicDecryption',
  'UserDecryptionShare',
  'UserDecryptionRequest',
  'UserDecryption',
  'ResultBatch',
  'HandleTransfer',
  'KeyGeneration',
  'CrsGeneration',
  'SwitchingKey',
  'LifecycleTransition',
  'Backup',
  'Recovery',
  'EpochChange',
  'CommitteeChange',
  'NodeEnrolment',
  'Anchor',
];

interface ValueOf {
  /** 20 bytes. */
  readonly address: Uint8Array;
  readonly bool: boolean;
  readonly bytes: Uint8Array;
  /** 32 bytes. */
  readonly bytes32: Uint8Array;
  readonly uint8: number;
  readonly uint32: number;
  readonly uint64: bigint;
  readonly uint256: bigint;
  readonly 'address[]': readonly Uint8Array[];
  readonly 'bytes32[]': readonly Uint8Array[];
}

/** A statement of a type, by the names of its fields. */
export type Typed<Name extends TypedName> = {
  readonly [F in (typeof typedData)[Name][number] as F['name']]: ValueOf[F['type']];
};

/** What encodes a struct of any type. */
export type FieldValue = ValueOf[FieldType];
