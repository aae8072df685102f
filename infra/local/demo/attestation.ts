import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { attestNode, nitroMeasurements } from '../../../client/attestation.ts';
import type { Network } from '../../../client/network.ts';
import { describeNode } from '../../../client/node-admin.ts';
import { NodeChannel } from '../../../client/node-channel.ts';
import { trustIn } from '../../../client/node-trust.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { registersOf } from '../../../shared/network/measurement.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import type { LocalNetwork } from '../network.ts';

const ENCLAVE_ENTRY = fileURLToPath(new URL('../../../enclave/main.ts', import.meta.url));
/** Lives with the tests: the enclave itself has no switch for this. */
const FOREIGN_ENTRY = fileURLToPath(new URL('../../../test/faults/foreign-enclave.ts', import.meta.url));
/** Peers dial several times in it. */
const WATCHED_MS = 1_500;
const POLL_MS = 50;

/** Attests every node from here, and compares its registers with those that the configuration lists. */
export async function attestAll(network: Network): Promise<string> {
  const { chain, members } = network;
  const { measurements } = chain.newest.signed.configuration;
  const listed = measurements.map((one) =>
    registersOf(one)
      .map(([, value]) => toHex(value))
      .join(),
  );
  for (const { party, identity, address } of members) {
    const { node, isAllowed } = await attestNode({ identity, addresses: [address] }, network);
    const { HashAlgorithm: _, ...registers } = nitroMeasurements(node);
    if (isAllowed !== true || !listed.includes(Object.values(registers).join())) {
      throw new KmsError('INTERNAL', `node ${party} runs an image that the configuration does not list`);
    }
  }
  return `${members.length} nodes prove their image, TLS key, identity and network; PCRs as configured`;
}

/**
 * A node's enclave is exchanged for one of another image. KMS does not open the node's storage to it, so it has no identity; neither
 * peers nor clients talk to it. The true one is back afterwards.
 * @param meanwhile what the network still has to do
 */
export async function refuseForeignEnclave(
  local: LocalNetwork,
  network: Network,
  party: number,
  meanwhile: () => Promise<void>,
): Promise<string> {
  await local.stopNode(party, { role: 'enclave' });
  try {
    await local.startNode(party, { role: 'enclave', entry: FOREIGN_ENTRY });
    await until(async () => (await phaseOf(network, party)) === 'unjoined');
    await meanwhile();
    await expectRefusal(network, party);
    await sleep(WATCHED_MS);
    await expectNoPeers(network, party);
  } finally {
    await local.stopNode(party, { role: 'enclave' });
    await local.startNode(party, { role: 'enclave', entry: ENCLAVE_ENTRY });
    await local.connected();
  }
  return `node ${party} with another image: KMS keeps its storage shut, no peer and no client talks to it`;
}

async function expectRefusal(network: Network, party: number): Promise<void> {
  const { identity, address } = memberOf(network, party);
  const channel = new NodeChannel({ identity, addresses: [address] }, trustIn(network.chain));
  try {
    await channel.client();
  } catch (error) {
    if (codeOf(error) === 'BAD_ATTESTATION' || codeOf(error) === 'BAD_PEER') return;
    throw error;
  } finally {
    channel.close();
  }
  throw new KmsError('INTERNAL', 'a client talks to an enclave of another image');
}

async function expectNoPeers(network: Network, foreign: number): Promise<void> {
  for (const { party } of network.members) {
    const { connectedPeers, phase } = await cardOf(network, party);
    const isForeign = party === foreign;
    const talks = isForeign ? connectedPeers.length > 0 : connectedPeers.includes(foreign);
    if (talks || (isForeign && phase !== 'unjoined')) {
      throw new KmsError('INTERNAL', `node ${party} talks to an enclave of another image`);
    }
  }
}

/** Undefined while it does not answer. */
async function phaseOf(network: Network, party: number): Promise<string | undefined> {
  return cardOf(network, party).then(
    ({ phase }) => phase,
    () => undefined,
  );
}

/** Whoever answers there: an enclave that cannot unseal has an identity of its own making. */
function cardOf(network: Network, party: number) {
  const { address } = memberOf(network, party);
  return describeNode({ identity: undefined, addresses: [address] }, network.chain.networkId);
}

function memberOf({ members }: Network, party: number): Network['members'][number] {
  const member = members[party - 1];
  if (member === undefined) throw new KmsError('BAD_INPUT', `there is no party ${party}`);
  return member;
}

/** The demo's own limit bounds it. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new KmsError('TIMEOUT', 'the other enclave did not start');
    await sleep(POLL_MS);
  }
}
