import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeGovernanceKey, readGovernanceKey } from '../../client/cli/governance-key-file.ts';
import { CONFIGURATIONS_FILE, GENESIS_FILE } from '../../client/cli/network-files.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import type { AttestationRoot } from '../../shared/attestation/root.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Digest, epochId, partyId } from '../../shared/ids.ts';
import { ConfigurationChain } from '../../shared/network/chain.ts';
import type { ChainAccess } from '../../shared/network/chain-access.ts';
import type { Configuration, Member } from '../../shared/network/configuration.ts';
import { decodeConfigurations, encodeConfigurations } from '../../shared/network/configuration-file.ts';
import {
  decodeGenesis,
  encodeGenesis,
  type GatewayAnchor,
  type Genesis,
  NO_GATEWAY,
  networkIdOf,
} from '../../shared/network/genesis.ts';
import { governanceQuorum } from '../../shared/network/governance.ts';
import { type Measurement, measurementName } from '../../shared/network/measurement.ts';
import type { RpcSet } from '../../shared/network/rpc.ts';
import { type SignedConfiguration, signConfiguration } from '../../shared/network/signed-configuration.ts';
import type { Storage } from '../../shared/network/storage.ts';
import { NO_DIGEST } from '../../shared/protocol/statement.ts';

export const GOVERNANCE_DIRECTORY = 'governance';
/** A minute of mock blocks, or of an idle local chain. */
const MEASUREMENT_DELAY_BLOCKS = 60;

export interface Founders {
  readonly name: string;
  readonly t: number;
  /** By party 1..n. */
  readonly members: readonly Pick<Member, 'identity' | 'bootKey' | 'address'>[];
  /** Makes what the nodes seal to, for a network whose id is known. */
  readonly provision: (networkId: Digest) => Promise<readonly Storage[]>;
  /** Default: mock enclaves. */
  readonly build?: FoundedBuild;
  /** Default: the network has none, and its nodes serve whoever asks. */
  readonly gateway?: FoundedGateway | undefined;
}

/** The chains of a network. */
export interface FoundedGateway {
  readonly anchor: GatewayAnchor;
  /** Of the gateway chain. */
  readonly rpc: RpcSet;
  readonly maxHeadAgeS: number;
  readonly hosts: readonly ChainAccess[];
}

const WITHOUT_GATEWAY: FoundedGateway = {
  anchor: NO_GATEWAY,
  rpc: { k: 0, endpoints: [] },
  maxHeadAgeS: 0,
  hosts: [],
};

/** What a network's enclaves are: of which build, and which image each. */
export interface FoundedBuild {
  readonly root: AttestationRoot;
  readonly measurementOf: (party: number) => Measurement;
}

/**
 * Makes a network in a state directory: one operator's governance key per node (governance/<party>.key), genesis
 * and configuration 0, signed by as many as must. The files are whole before the first node is given them.
 */
export async function foundNetwork(directory: string, founders: Founders): Promise<ConfigurationChain> {
  const { root, measurementOf } = founders.build ?? mockBuild();
  const { anchor, rpc, maxHeadAgeS, hosts } = founders.gateway ?? WITHOUT_GATEWAY;
  const keyFiles = founders.members.map((_, i) => join(directory, GOVERNANCE_DIRECTORY, `${i + 1}.key`));
  for (const file of keyFiles) await ensureKey(file);
  const signers = await Promise.all(keyFiles.map(readGovernanceKey));
  const governance = {
    keys: signers.map(({ publicKey }) => publicKey),
    quorum: governanceQuorum(signers.length),
  };
  const genesis: Genesis = {
    name: founders.name,
    class: root.class,
    attestationRoot: root.sha256,
    gateway: anchor,
    governance,
    measurementDelayBlocks: MEASUREMENT_DELAY_BLOCKS,
    rpc,
  };
  const networkId = networkIdOf(nodePrimitives, genesis);
  const places = await founders.provision(networkId);
  const configuration: Configuration = {
    number: 0,
    networkId,
    predecessor: NO_DIGEST,
    epoch: epochId(0),
    t: founders.t,
    members: founders.members.map((member, i) => ({
      party: partyId(i + 1),
      ...member,
      storage: places[i]!,
    })),
    measurements: different(founders.members.map((_, i) => measurementOf(i + 1))),
    activationBlock: 0,
    overlapUntilBlock: 0,
    governance,
    ...{ rpc, maxHeadAgeS, hosts },
    custodians: [],
  };
  const signed = signers
    .slice(0, governance.quorum)
    .reduce<SignedConfiguration>((so, key) => signConfiguration(nodePrimitives, key, governance, so), {
      configuration,
      signatures: [],
    });
  const chain = ConfigurationChain.of(nodePrimitives, genesis, [signed]);
  await writeFile(join(directory, GENESIS_FILE), encodeGenesis(genesis), { mode: 0o600 });
  await writeFile(join(directory, CONFIGURATIONS_FILE), encodeConfigurations([signed]), { mode: 0o600 });
  return chain;
}

/** The verified chain of a network that was founded here. @throws {KmsError} BAD_GENESIS, BAD_CONFIGURATION, ... */
export async function readNetwork(directory: string): Promise<ConfigurationChain> {
  const [genesis, configurations] = await Promise.all(
    [GENESIS_FILE, CONFIGURATIONS_FILE].map(
      async (name) => new Uint8Array(await readFile(join(directory, name))),
    ),
  );
  return ConfigurationChain.of(
    nodePrimitives,
    decodeGenesis(genesis!),
    decodeConfigurations(configurations!),
  );
}

/** A start that was interrupted may have made some. */
async function ensureKey(file: string): Promise<void> {
  const exists = await readGovernanceKey(file).then(
    () => true,
    () => false,
  );
  if (!exists) await makeGovernanceKey(file);
}

export function mockBuild(): FoundedBuild {
  const [root] = ROOTS;
  if (root === undefined) throw new KmsError('INTERNAL', 'there is no mock root');
  return { root, measurementOf: () => MOCK_MEASUREMENT };
}

function different(measurements: readonly Measurement[]): readonly Measurement[] {
  return [...new Map(measurements.map((one) => [measurementName(one), one])).values()];
}
