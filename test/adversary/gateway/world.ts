import { keccak_256 } from '@noble/hashes/sha3.js';
import { presetByName } from '../../../shared/fhe/presets.ts';
import {
  type CommittedCiphertext,
  ciphertextCommitment,
  commandCommitment,
  type GatewayCommand,
  type GatewayRequest,
  type OracleRequest,
  oracleCommitment,
  requestCommitment,
} from '../../../shared/gateway/commitments.ts';
import { typedDigest } from '../../../shared/gateway/eip712.ts';
import { type Derivation, handleOf, operations, provenanceOf } from '../../../shared/gateway/handle.ts';
import {
  contractsCommitment,
  type GatewayContracts,
  type HostChain,
  hostChainCommitment,
} from '../../../shared/gateway/network-commitments.ts';
import type { ClaimedCiphertext } from '../../../shared/gateway/policy/ciphertext.ts';
import type { KnownHead, KnownKey, PolicyContext } from '../../../shared/gateway/policy/context.ts';
import type { NeededSlots } from '../../../shared/gateway/policy/needed-slots.ts';
import { EVERYBODY } from '../../../shared/gateway/policy/request.ts';
import { assembleEvidence } from '../../../shared/gateway/proof/assemble.ts';
import { decodeEvidence, encodeEvidence } from '../../../shared/gateway/proof/evidence.ts';
import { ProvenChain } from '../../../shared/gateway/proof/proven-chain.ts';
import {
  accessSlot,
  ciphertextSlot,
  commandSlot,
  factsSlot,
  hostChainSlot,
  keySlot,
  oracleSlot,
  phaseSlot,
  plainSlot,
  remoteAccessSlot,
  requestSlot,
  slotNumbers,
} from '../../../shared/gateway/slots.ts';
import type { Typed } from '../../../shared/gateway/typed-data.ts';
import { numberOf, word } from '../../../shared/gateway/word.ts';
import { digest, type KeyId, keyId } from '../../../shared/ids.ts';
import { fromHex, toHex, utf8 } from '../../../shared/wire/bytes.ts';
import { blockOf } from '../../oracle/chain-state.ts';

/**
 * Two chains whose state is whatever a test writes, and everything that a connector and a node would say of it. What is asked is
 * permitted; each test makes one thing wrong.
 */

export const some = (name: string): Uint8Array => keccak_256(utf8(name));
export const account = (name: string): Uint8Array => some(name).subarray(12);
const code = (name: string): Uint8Array => some(`code of ${name}`);

export const GATEWAY = 31337n;
export const HOST = 31338n;
export const OTHER_HOST = 31339n;
export const KEY = some('key');
export const USER = account('user');
export const APPLICATION = account('application');
export const NOW = 1_700_000_000n;
export const PRESET = 2;

export interface ChainState {
  /** That the evidence is opened with. */
  chainId: bigint;
  number: bigint;
  timestamp: bigint;
  /** Contract (hex) => code hash and words. */
  readonly contracts: Map<string, { codeHash: Uint8Array; readonly words: Map<string, bigint> }>;
}

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** Wider than any one claim; each permission reads its own fields. */
export interface World {
  context: Changeable<Omit<PolicyContext, 'gateway' | 'keys' | 'heads'>> & {
    readonly gateway: Changeable<PolicyContext['gateway']>;
    readonly keys: Map<KeyId, KnownKey>;
    readonly heads: Map<bigint, KnownHead>;
  };
  readonly states: { readonly gateway: ChainState; readonly host: ChainState };
  readonly claim: {
    contracts: GatewayContracts;
    host: HostChain;
    request: GatewayRequest;
    ciphertexts: ClaimedCiphertext[];
    oracleRequest?: OracleRequest;
    permit: Typed<'UserDecryptionRequest'>;
    command: GatewayCommand;
  };
}

export const contracts: GatewayContracts = {
  keys: account('Keys'),
  ciphertexts: account('Ciphertexts'),
  decryptions: account('Decryptions'),
  keysCodeHash: code('Keys'),
  ciphertextsCodeHash: code('Ciphertexts'),
  decryptionsCodeHash: code('Decryptions'),
};

export const host: HostChain = {
  chainId: HOST,
  verifier: account('KmsVerifier'),
  oracle: account('DecryptionOracle'),
  accessControl: account('AccessControl'),
  compute: account('Compute'),
  verifierCodeHash: code('KmsVerifier'),
  oracleCodeHash: code('DecryptionOracle'),
  accessControlCodeHash: code('AccessControl'),
  computeCodeHash: code('Compute'),
  confirmations: 3n,
};

const registry = account('Registry');
const networkId = digest(`6d6f636b${'ab'.repeat(28)}`);

/** An input and a sum. */
export function derivationsOf(chainId: bigint, keyOf: Uint8Array = KEY): readonly Derivation[] {
  const of = { keyId: keyOf, level: 3, chainId, compute: host.compute, kind: 'scalar' } as const;
  return [
    {
      ...of,
      operation: operations.input,
      inputs: [],
      argument: some('envelope 0'),
      bound: 3920608n,
      nonce: 1n,
    },
    {
      ...of,
      operation: operations.add,
      inputs: [some('a'), some('b')],
      argument: new Uint8Array(32),
      bound: 7841217n,
      nonce: 2n,
    },
  ];
}

export function claimedOf(derivation: Derivation, i: number): ClaimedCiphertext {
  const { keyId: of, level, bound } = derivation;
  const ciphertext: CommittedCiphertext = {
    handle: handleOf(derivation),
    keyId: of,
    digest: some(`envelope ${i}`),
    kind: 1,
    level,
    bound,
    provenance: provenanceOf(derivation),
  };
  return { ciphertext, derivation };
}

export function factsOf({ bound, level, kind }: CommittedCiphertext): bigint {
  return (1n << 248n) | (BigInt(kind) << 244n) | (BigInt(level) << 240n) | bound;
}

export function permitDigest(permit: Typed<'UserDecryptionRequest'>): Uint8Array {
  return typedDigest({ gatewayChainId: GATEWAY, registry }, 'UserDecryptionRequest', permit);
}

/** @param kind 1 public, 2 user, 3 transfer; commands have all they need in each */
export function worldOf(kind: 1 | 2 | 3): World {
  const claimed = derivationsOf(HOST)
    .map(claimedOf)
    .slice(0, kind === 3 ? 1 : 2);
  const handles = claimed.map(({ ciphertext }) => ciphertext.handle);
  const oracleRequest: OracleRequest = {
    id: 4n,
    chainId: HOST,
    oracle: host.oracle,
    consumer: APPLICATION,
    selector: Uint8Array.of(1, 2, 3, 4),
    gasLimit: 100_000,
    keyId: KEY,
    requestedAt: NOW - 30n,
    reward: 0n,
    handles,
  };
  const permit: Typed<'UserDecryptionRequest'> = {
    user: USER,
    delegate: new Uint8Array(20),
    publicKeyHash: some('X-Wing'),
    hostChainId: HOST,
    context: APPLICATION,
    validFrom: NOW - 100n,
    validUntil: NOW + 200n,
    nonce: 7n,
  };
  const request: GatewayRequest = {
    id: 12n,
    kind,
    hostChainId: HOST,
    verifier: host.verifier,
    consumer: kind === 1 ? APPLICATION : kind === 2 ? USER : account('account there'),
    reference: [oracleCommitment(oracleRequest), permitDigest(permit), word(OTHER_HOST)][kind - 1]!,
    publicKeyHash: kind === 2 ? permit.publicKeyHash : new Uint8Array(32),
    keyId: KEY,
    keyState: 2,
    signedBy: kind === 2 ? 1 : 0,
    payer: account('relayer'),
    fee: 5n,
    requestedAt: NOW - 20n,
    expiresAt: NOW + 600n,
    handles,
  };
  const lifecycle = new Uint8Array([...KEY, ...word(3n)]);
  const command: GatewayCommand = {
    id: 9n,
    kind: 5,
    epoch: 6n,
    payload: lifecycle,
    requestedAt: NOW - 10n,
    expiresAt: NOW + 100n,
  };
  const world: World = {
    context: {
      networkId,
      gateway: { chainId: GATEWAY, registry, registryCodeHash: code('Registry'), confirmations: 2n },
      epoch: 6n,
      keys: new Map([[keyId(toHex(KEY)), { preset: presetByName('bfv-8192'), state: 2 }]]),
      nowS: NOW + 5n,
      maxHeadAgeS: 60n,
      heads: new Map([
        [GATEWAY, { newest: 101n, accepted: 100n }],
        [HOST, { newest: 202n, accepted: 200n }],
      ]),
    },
    states: { gateway: stateOf(GATEWAY, 100n), host: stateOf(HOST, 200n) },
    claim: { contracts, host, request, ciphertexts: claimed, oracleRequest, permit, command },
  };
  build(world);
  return world;
}

const stateOf = (chainId: bigint, number: bigint): ChainState => ({
  chainId,
  number,
  timestamp: NOW,
  contracts: new Map(),
});

function build(world: World): void {
  const { gateway, host: chain } = world.states;
  const deploy = (state: ChainState, address: Uint8Array, codeHash: Uint8Array): void => {
    state.contracts.set(toHex(address), { codeHash, words: new Map() });
  };
  deploy(gateway, registry, code('Registry'));
  deploy(gateway, contracts.keys, contracts.keysCodeHash);
  deploy(gateway, contracts.ciphertexts, contracts.ciphertextsCodeHash);
  deploy(gateway, contracts.decryptions, contracts.decryptionsCodeHash);
  deploy(chain, host.accessControl, host.accessControlCodeHash);
  deploy(chain, host.compute, host.computeCodeHash);
  deploy(chain, host.oracle, host.oracleCodeHash);
  const { Registry } = slotNumbers;
  write(gateway, registry, plainSlot(Registry.networkId), numberOf(fromHex(networkId)));
  write(gateway, registry, plainSlot(Registry.currentEpoch), 6n);
  // Paused, which does not matter for what was asked already.
  write(gateway, registry, plainSlot(13), (1n << 64n) | 1n);
  write(gateway, contracts.keys, keySlot(KEY), 2n | (BigInt(PRESET) << 8n) | (1n << 16n));
  write(gateway, contracts.keys, phaseSlot(world.claim.command.id), 1n);
  write(gateway, contracts.decryptions, permitNonce(), world.claim.permit.nonce);
  for (const { ciphertext } of world.claim.ciphertexts) {
    const { handle } = ciphertext;
    write(chain, host.compute, factsSlot(handle), factsOf(ciphertext));
    const access = world.claim.request.kind === 1 ? [EVERYBODY] : [USER, APPLICATION];
    for (const who of access) write(chain, host.accessControl, accessSlot(handle, who), 3n);
    const there = account('account there');
    write(chain, host.accessControl, remoteAccessSlot(handle, OTHER_HOST, there), 3n);
  }
  recommit(world);
}

/** Makes both chains hold the hashes of what is claimed now. */
export function recommit({ states, claim }: World): void {
  const { gateway, host: chain } = states;
  const number = (hash: Uint8Array): bigint => numberOf(hash);
  write(
    gateway,
    registry,
    plainSlot(slotNumbers.Registry.contractsHash),
    number(contractsCommitment(claim.contracts)),
  );
  write(gateway, registry, hostChainSlot(claim.host.chainId), number(hostChainCommitment(claim.host)));
  write(
    gateway,
    contracts.decryptions,
    requestSlot(claim.request.id),
    number(requestCommitment(claim.request)),
  );
  write(gateway, contracts.keys, commandSlot(claim.command.id), number(commandCommitment(claim.command)));
  for (const { ciphertext } of claim.ciphertexts) {
    const slot = ciphertextSlot(ciphertext.handle);
    write(gateway, contracts.ciphertexts, slot, number(ciphertextCommitment(ciphertext)));
  }
  if (claim.oracleRequest === undefined) return;
  const asked = claim.oracleRequest;
  write(chain, host.oracle, oracleSlot(asked.id), number(oracleCommitment(asked)));
}

export function write(state: ChainState, address: Uint8Array, slot: Uint8Array, value: bigint): void {
  state.contracts.get(toHex(address))?.words.set(toHex(slot), value);
}

export const registryAddress: Uint8Array = registry;

/** The proven chains, by evidence of what is needed and no more, over the wire. */
export function provenChains(
  { states }: World,
  needed: readonly NeededSlots[],
): { readonly gateway: ProvenChain; readonly host: ProvenChain } {
  const open = (state: ChainState, askedOf: bigint): ProvenChain => {
    const { chainId } = state;
    const accounts = [...state.contracts].map(([address, { codeHash, words }]) => ({
      address: fromHex(address),
      codeHash,
      storage: words,
    }));
    const block = blockOf(state.number, state.timestamp, accounts);
    const proofs = needed
      .filter((one) => one.chainId === askedOf)
      .map(({ address, slots }) => block.prove(address, slots));
    const evidence = assembleEvidence(chainId, block.header, proofs);
    const [decoded] = decodeEvidence(encodeEvidence([evidence]));
    return ProvenChain.open(decoded!, { chainId, hash: block.hash });
  };
  return { gateway: open(states.gateway, GATEWAY), host: open(states.host, HOST) };
}

function permitNonce(): Uint8Array {
  const key = new Uint8Array(64);
  key.set(USER, 12);
  return keccak_256(key);
}
