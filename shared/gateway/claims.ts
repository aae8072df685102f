import { KmsError } from '../errors.ts';
import type { ValueKind } from '../fhe/envelope.ts';
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
} from '../wire/codec.ts';
import type { CommittedCiphertext, GatewayCommand, GatewayRequest, OracleRequest } from './commitments.ts';
import type { Derivation } from './handle.ts';
import type { GatewayContracts, HostChain } from './network-commitments.ts';
import type { ClaimedCiphertext } from './policy/ciphertext.ts';
import type { CommandClaim } from './policy/command.ts';
import type { PublicDecryptionClaim } from './policy/public-decryption.ts';
import type { RequestClaim } from './policy/request.ts';
import type { UserDecryptionClaim } from './policy/user-decryption.ts';
import type { Typed } from './typed-data.ts';
import { numberOf, word } from './word.ts';

/**
 * What a connector hands to its enclave beside the evidence: the fields behind the chain's hashes. None of it is believed before
 * the policy (policy/) has held it against proven slots.
 */
export type Claim =
  | { readonly kind: 'public-decryption'; readonly claim: PublicDecryptionClaim }
  | { readonly kind: 'user-decryption'; readonly claim: UserDecryptionClaim }
  | { readonly kind: 'transfer'; readonly claim: RequestClaim }
  | { readonly kind: 'command'; readonly claim: CommandClaim };

/** As Limits.MAX_HANDLES. */
export const MAX_HANDLES = 64;
export const MAX_CLAIM_BYTES = 256 << 10;

const MAX_INPUTS = 2;
const MAX_PAYLOAD_BYTES = 16 << 10;
const kinds: readonly ValueKind[] = ['scalar', 'vector'];

const address = fixedBytes(20);
const bytes32 = fixedBytes(32);

const u256: Codec<bigint> = {
  write: (out, value) => bytes32.write(out, word(value)),
  read: (from) => numberOf(bytes32.read(from)),
};

const valueKind: Codec<ValueKind> = {
  write: (out, value) => u8.write(out, kinds.indexOf(value)),
  read(from) {
    const kind = kinds[u8.read(from)];
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

const handles: Codec<readonly Uint8Array[]> = list(bytes32, MAX_HANDLES);

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

const ciphertext: Codec<CommittedCiphertext> = struct<CommittedCiphertext>({
  handle: bytes32,
  keyId: bytes32,
  digest: bytes32,
  kind: u8,
  level: u8,
  bound: u256,
  provenance: bytes32,
});

const derivation: Codec<Derivation> = struct<Derivation>({
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
});

const ofRequest = {
  contracts,
  host,
  request,
  ciphertexts: list(struct<ClaimedCiphertext>({ ciphertext, derivation }), MAX_HANDLES),
} as const;

const oracleRequest: Codec<OracleRequest> = struct<OracleRequest>({
  id: u256,
  chainId: u256,
  oracle: address,
  consumer: address,
  selector: fixedBytes(4),
  gasLimit: u32,
  keyId: bytes32,
  requestedAt: u256,
  reward: u256,
  handles,
});

const permit: Codec<Typed<'UserDecryptionRequest'>> = struct<Typed<'UserDecryptionRequest'>>({
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

interface PublicLayout extends RequestClaim {
  readonly oracleRequest: OracleRequest | undefined;
}

const publicLayout: Codec<PublicLayout> = struct<PublicLayout>({
  ...ofRequest,
  oracleRequest: optional(oracleRequest),
});

const publicClaim: Codec<PublicDecryptionClaim> = {
  write: (out, claim) => publicLayout.write(out, { ...claim, oracleRequest: claim.oracleRequest }),
  read(from) {
    const { oracleRequest: asked, ...claim } = publicLayout.read(from);
    return asked === undefined ? claim : { ...claim, oracleRequest: asked };
  },
};

const claimCodec: Codec<Claim> = union<Claim>({
  'public-decryption': struct({ claim: publicClaim }),
  'user-decryption': struct({ claim: struct<UserDecryptionClaim>({ ...ofRequest, permit }) }),
  transfer: struct({ claim: struct<RequestClaim>(ofRequest) }),
  command: struct({ claim: struct<CommandClaim>({ contracts, command }) }),
});

/** @throws {KmsError} BAD_INPUT, TOO_LARGE */
export function encodeClaim(claim: Claim): Uint8Array {
  const encoded = encode(claimCodec, claim);
  requireSize(encoded);
  return encoded;
}

/** @throws {KmsError} BAD_ENCODING, TOO_LARGE */
export function decodeClaim(encoded: Uint8Array): Claim {
  requireSize(encoded);
  return decode(claimCodec, encoded);
}

function requireSize({ length }: Uint8Array): void {
  if (length > MAX_CLAIM_BYTES)
    throw new KmsError('TOO_LARGE', `a claim has at most ${MAX_CLAIM_BYTES} bytes`);
}
