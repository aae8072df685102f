import { ed25519Signer, nodePrimitives } from '../../enclave/primitives.ts';
import { digest, epochId, partyId } from '../../shared/ids.ts';
import { ConfigurationChain } from '../../shared/network/chain.ts';
import { MAX_HEAD_AGE_S } from '../../shared/network/chain-head.ts';
import type { Configuration, Measurement, Member } from '../../shared/network/configuration.ts';
import { type Genesis, hasGateway, NO_GATEWAY, networkIdOf } from '../../shared/network/genesis.ts';
import { governanceQuorum } from '../../shared/network/governance.ts';
import { type SignedConfiguration, signConfiguration } from '../../shared/network/signed-configuration.ts';
import type { Signer } from '../../shared/primitives.ts';
import { NO_DIGEST } from '../../shared/protocol/statement.ts';

/** A measurement that differs from those of other seeds. */
export function measurement(seed: number): Measurement {
  return {
    pcr0: new Uint8Array(48).fill(seed),
    pcr1: new Uint8Array(48).fill(seed + 1),
    pcr2: new Uint8Array(48).fill(seed + 2),
  };
}

/** Operators 1..n; a generation gives other keys. */
export function operators(n: number, generation = 1): readonly Signer[] {
  return Array.from({ length: n }, (_, i) =>
    ed25519Signer(new Uint8Array(32).fill(i + 1).fill(0xa0 + generation, 0, 1)),
  );
}

export function governanceOf(signers: readonly Signer[]): Genesis['governance'] {
  return { keys: signers.map(({ publicKey }) => publicKey), quorum: governanceQuorum(signers.length) };
}

/** A gateway that nobody asks. */
export const PAPER_GATEWAY: Pick<Genesis, 'gateway' | 'rpc'> = {
  gateway: {
    chainId: 1n,
    registry: new Uint8Array(20).fill(7),
    registryCodeHash: digest('33'.repeat(32)),
    finality: { kind: 'finalized' },
  },
  rpc: { k: 1, endpoints: [{ url: 'https://rpc.example', spkiPins: [digest('44'.repeat(32))] }] },
};

/** A production network has a gateway. */
export function mockGenesis(signers: readonly Signer[], change: Partial<Genesis> = {}): Genesis {
  return {
    name: 'test',
    class: 'mock',
    attestationRoot: digest('ab'.repeat(32)),
    gateway: NO_GATEWAY,
    governance: governanceOf(signers),
    measurementDelayBlocks: 100,
    rpc: { k: 0, endpoints: [] },
    ...(change.class === 'production' ? PAPER_GATEWAY : {}),
    ...change,
  };
}

export interface TestMember {
  readonly identity: Uint8Array;
  readonly address: string;
  readonly bootKey?: Uint8Array;
}

/** A boot key and a storage of its own for a party that does not say otherwise. */
export function storedBy(party: number): Pick<Member, 'bootKey' | 'storage'> {
  const account = String(party).padStart(12, '0');
  return {
    bootKey: new Uint8Array(32).fill(0xb0).fill(party, 0, 1),
    storage: {
      kmsKey: `arn:aws:kms:eu-central-1:${account}:key/00000000-0000-4000-8000-${account}`,
      role: `arn:aws:iam::${account}:role/node`,
      bucket: `kms-test-${party}`,
    },
  };
}

/** Configuration 0. */
export function founding(
  genesis: Genesis,
  members: readonly TestMember[],
  change: Partial<Configuration> = {},
): Configuration {
  return {
    number: 0,
    networkId: networkIdOf(nodePrimitives, genesis),
    predecessor: NO_DIGEST,
    epoch: epochId(0),
    t: Math.floor((members.length - 1) / 3),
    members: members.map((member, i) => ({ ...storedBy(i + 1), ...member, party: partyId(i + 1) })),
    measurements: [measurement(10)],
    activationBlock: 0,
    overlapUntilBlock: 0,
    governance: genesis.governance,
    rpc: genesis.rpc,
    maxHeadAgeS: hasGateway(genesis) ? MAX_HEAD_AGE_S : 0,
    hosts: [],
    custodians: [],
    ...change,
  };
}

/** The configuration after the chain's newest one: 10 blocks after its window, with a window of 20 blocks. */
export function successor(chain: ConfigurationChain, change: Partial<Configuration> = {}): Configuration {
  const { digest: predecessor, signed } = chain.newest;
  const { number, overlapUntilBlock } = signed.configuration;
  return {
    ...signed.configuration,
    number: number + 1,
    predecessor,
    activationBlock: overlapUntilBlock + 10,
    overlapUntilBlock: overlapUntilBlock + 30,
    ...change,
  };
}

/** Signed by exactly these of the signing governance's keys. */
export function signedBy(
  signers: readonly Signer[],
  configuration: Configuration,
  signing: Genesis['governance'] = governanceOf(signers),
): SignedConfiguration {
  return signers.reduce<SignedConfiguration>(
    (so, key) => signConfiguration(nodePrimitives, key, signing, so),
    { configuration, signatures: [] },
  );
}

/** A mock network of these nodes, founded. */
export function foundedChain(
  members: readonly TestMember[],
  change: Partial<Genesis> = {},
): ConfigurationChain {
  const signers = operators(4);
  const genesis = mockGenesis(signers, change);
  return ConfigurationChain.of(nodePrimitives, genesis, [signedBy(signers, founding(genesis, members))]);
}
