import { KmsError } from '../../errors.ts';
import type { ValueKind } from '../../fhe/envelope.ts';
import {
  bytes,
  type Codec,
  decode,
  encode,
  fixedBytes,
  list,
  optional,
  struct,
  u8,
  u32,
  u64,
  union,
} from '../../wire/codec.ts';
import type { CommittedCiphertext, GatewayCommand, GatewayRequest, OracleRequest } from '../commitments.ts';
import type { Derivation } from '../handle.ts';
import type { GatewayContracts, HostChain } from '../network-commitments.ts';
import type { Typed } from '../typed-data.ts';
import { numberOf, word } from '../word.ts';
import type { ClaimedCiphertext } from './ciphertext.ts';
import type { Claim } from './claim.ts';
import { MAX_COMMAND_KEYS } from './payload.ts';

/** Decryptions.MAX_HANDLES. */
const MAX_HANDLES = 64;
const MAX_INPUTS = 4;
const MAX_PAYLOAD_BYTES = 32 * (MAX_COMMAND_KEYS + 16);
/** Of a user's request with as many handles as there may be. */
export const MAX_CLAIM_BYTES = 128 * 1024;

const address = fixedBytes(20);
const bytes32 = fixedBytes(32);
const handles = list(bytes32, MAX_HANDLES);
/** A word as the chain has it, big endian. */
const u256: Codec<bigint> = {
  write: (out, value) => out.raw(word(value)),
  read: (from) => numberOf(from.raw(32)),
};
const kinds: readonly ValueKind[] = ['scalar', 'vector'];
const valueKind: Codec<ValueKind> = {
  write: (out, value) => out.uint(kinds.indexOf(value), 1),
  read(from) {
    const kind = kinds[from.uint(1)];
    if (kind === undefined) throw new KmsError('BAD_ENCODING', 'unknown kind of value');
    return kind;
  },
};

const contracts: Codec<GatewayContracts> = struct<GatewayContracts>({
  keys: address,
  ciphertexts: address,
  decryptions: address,
  keysCodeHash: bytes32,
  ciphertextsCodeHash: bytes32,
  decryptionsCodeHash: bytes32,
});

const host: Codec<HostChain> = struct<HostChain>({
  chainId: u256,
  verifier: address,
  oracle: address,
  accessControl: address,
  compute: address,
  verifierCodeHash: bytes32,
  oracleCodeHash: bytes32,
  accessControlCodeHash: bytes32,
  computeCodeHash: bytes32,
  confirmations: u64,
});

const request: Codec<GatewayRequest> = struct<GatewayRequest>({
  id: u256,
  kind: u8,
  hostChainId: u256,
  verifier: address,
  consumer: address,
  reference: bytes32,
  publicKeyHash: bytes32,
  keyId: bytes32,
  keyState: u8,
  signedBy: u8,
  payer: address,
  fee: u256,
  requestedAt: u64,
  expiresAt: u64,
  handles,
});

const ciphertext: Codec<ClaimedCiphertext> = struct<ClaimedCiphertext>({
  ciphertext: struct<CommittedCiphertext>({
    handle: bytes32,
    keyId: bytes32,
    digest: bytes32,
    kind: u8,
    level: u8,
    bound: u256,
    provenance: bytes32,
  }),
  derivation: struct<Derivation>({
    operation: u8,
    inputs: list(bytes32, MAX_INPUTS),
    argument: bytes32,
    keyId: bytes32,
    kind: valueKind,
    level: u8,
    bound: u256,
    chainId: u256,
    compute: address,
    nonce: u256,
  }),
});

const oracleRequest: Codec<OracleRequest> = struct<OracleRequest>({
  id: u256,
  chainId: u256,
  oracle: address,
  consumer: address,
  selector: fixedBytes(4),
  gasLimit: u32,
  keyId: bytes32,
  requestedAt: u64,
  reward: u256,
  handles,
});

type Permit = Typed<'UserDecryptionRequest'>;
const permit: Codec<Permit> = struct<Permit>({
  user: address,
  delegate: address,
  publicKeyHash: bytes32,
  hostChainId: u256,
  context: address,
  validFrom: u64,
  validUntil: u64,
  nonce: u256,
});

const command: Codec<GatewayCommand> = struct<GatewayCommand>({
  id: u256,
  kind: u8,
  epoch: u64,
  payload: bytes(MAX_PAYLOAD_BYTES),
  requestedAt: u64,
  expiresAt: u64,
});

const common = { contracts, host, request, ciphertexts: list(ciphertext, MAX_HANDLES) };

const claimCodec: Codec<Claim> = union<Claim>({
  public: struct({ ...common, oracleRequest: optional(oracleRequest) }),
  user: struct({ ...common, permit }),
  transfer: struct(common),
  command: struct({ contracts, command }),
});

/** @throws {KmsError} BAD_INPUT, TOO_LARGE */
export function encodeClaim(claim: Claim): Uint8Array {
  return limited(encode(claimCodec, claim));
}

/** @throws {KmsError} TOO_LARGE, BAD_ENCODING */
export function decodeClaim(encoded: Uint8Array): Claim {
  return decode(claimCodec, limited(encoded));
}

function limited(encoded: Uint8Array): Uint8Array {
  if (encoded.length > MAX_CLAIM_BYTES) {
    throw new KmsError('TOO_LARGE', `a claim has at most ${MAX_CLAIM_BYTES} bytes`);
  }
  return encoded;
}
