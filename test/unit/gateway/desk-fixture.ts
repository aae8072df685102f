import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import type { Hex } from 'viem';
import { ResultSigner } from '../../../enclave/membership/result-signer.ts';
import { ed25519Signer, nodePrimitives } from '../../../enclave/primitives.ts';
import { committee } from '../../../shared/committee.ts';
import { type Envelope, openEnvelope, sealEnvelope, type ValueKind } from '../../../shared/fhe/envelope.ts';
import { type Preset, presetByName } from '../../../shared/fhe/presets.ts';
import { writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import type { TypedDomain } from '../../../shared/gateway/eip712.ts';
import type { PermittedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import { addressOf } from '../../../shared/gateway/signature.ts';
import { digest, epochId, type KeyId, keyId, partyId } from '../../../shared/ids.ts';
import type { Membership } from '../../../shared/protocol/machine.ts';
import { toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

/** Party 1 of four, its result signer, and ciphertexts that decrypt to nothing in particular. */

export const parties = [1, 2, 3, 4].map((party) => partyId(party));
export const some = (name: string): Uint8Array => keccak_256(utf8(name));
export const hex = (bytes: Uint8Array): Hex => `0x${toHex(bytes)}`;
export const KEY: KeyId = keyId(toHex(some('key')));
export const EPOCH = 6n;
export const domain: TypedDomain = { gatewayChainId: 31337n, registry: some('registry').subarray(12) };
/** As wallets write it. */
export const viemDomain = {
  name: 'Threshold KMS',
  version: '1',
  chainId: domain.gatewayChainId,
  verifyingContract: hex(domain.registry),
} as const;

export const secretOf = (party: number): Uint8Array => some(`signer ${party}`);
export const signerOf = (party: number): Uint8Array => addressOf(secp256k1.getPublicKey(secretOf(party)));

const identities = parties.map((party) => ed25519Signer(some(`identity ${party}`)));

export const membership: Membership = {
  networkId: digest(toHex(some('network'))),
  configuration: digest(toHex(some('configuration'))),
  epoch: epochId(Number(EPOCH)),
  committee: committee(4, 1),
  self: parties[0]!,
  identities: new Map(parties.map((party, i) => [party, identities[i]!.publicKey])),
  signer: identities[0]!,
  primitives: nodePrimitives,
};

export async function resultSigner(party = 1): Promise<ResultSigner> {
  return ResultSigner.open(new MemoryStore(new Map([['node/result-signer', secretOf(party)]])));
}

export interface Ciphertext {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  readonly permitted: PermittedCiphertext;
}

/** One that nobody made: its first residue tells it from others. */
export function ciphertext(
  which: number,
  kind: ValueKind = 'scalar',
  preset: Preset = presetByName('test-4096'),
): Ciphertext {
  const words = preset.degree * preset.levels;
  const c0 = new BigUint64Array(words);
  c0[0] = BigInt(which);
  const body = writeCiphertext(preset, { level: preset.levels, c0, c1: new BigUint64Array(words) });
  const bound = { bound: preset.noise.input, level: preset.levels };
  const bytes = sealEnvelope({ keyId: KEY, preset, kind, bound }, body);
  const envelope = openEnvelope(bytes, nodePrimitives);
  const handle = some(`handle ${which}`);
  return { bytes, envelope, permitted: { handle, digest: envelope.digest, kind, bound } };
}
