import { setTimeout as sleep } from 'node:timers/promises';
import { describeNode, joinNode, type NodeCard } from '../../client/node-admin.ts';
import type { NodePlace } from '../../client/node-channel.ts';
import { codeOf, KmsError } from '../../shared/errors.ts';
import type { Digest } from '../../shared/ids.ts';
import { type Enrolment, enrolmentCodec } from '../../shared/membership/enrolment.ts';
import type { ConfigurationChain } from '../../shared/network/chain.ts';
import { decode } from '../../shared/wire/codec.ts';
import type { NodeStatus } from './network-options.ts';
import { isAlive } from './process.ts';
import type { NodeState, Role } from './state.ts';

/** A node of a local network that is starting. */
export interface AskedNode {
  readonly state: () => NodeState;
  readonly networkId: () => Digest | undefined;
  readonly logFile: (role: Role) => string;
}

const POLL_MS = 50;

/** Asks until the node answers what is waited for. @throws {KmsError} UNAVAILABLE if one of its processes ended, TIMEOUT */
export async function askUntil(
  { state, networkId, logFile }: AskedNode,
  isGood: (card: NodeCard) => boolean,
  signal: AbortSignal,
): Promise<NodeCard> {
  for (;;) {
    const { processes, party } = state();
    const card = await describeNode(placeOf(state()), networkId()).catch((error: unknown) => {
      // A node that is just starting, which belongs to no network for a moment; any other answer is final.
      if (['UNAVAILABLE', 'TIMEOUT', 'BAD_PEER'].includes(codeOf(error))) return undefined;
      throw error;
    });
    if (card !== undefined && isGood(card)) return card;
    for (const role of ['enclave', 'parent'] as const) {
      const id = processes[role];
      if (id !== undefined && (await isAlive(id))) continue;
      throw new KmsError('UNAVAILABLE', `the ${role} of node ${party} ended; see ${logFile(role)}`);
    }
    if (signal.aborted) throw new KmsError('TIMEOUT', `node ${party} is not ready`);
    await sleep(POLL_MS);
  }
}

/** Of all these nodes, once they have enrolled each other. Unverified at this point: the registry does that. */
export function enrolmentsOf(
  nodes: readonly AskedNode[],
  signal: AbortSignal,
): Promise<readonly Enrolment[]> {
  return Promise.all(
    nodes.map(async (node) => {
      const { enrolment } = await askUntil(node, (card) => card.enrolment.length > 0, signal);
      return decode(enrolmentCodec, enrolment);
    }),
  );
}

/** Whether it runs, and what it says of itself if it does. */
export async function statusOf(node: NodeState, networkId: Digest | undefined): Promise<NodeStatus> {
  const { party, address, processes } = node;
  const lives = async (role: Role): Promise<boolean> => {
    const id = processes[role];
    return id !== undefined && isAlive(id);
  };
  const [enclave, parent] = await Promise.all([lives('enclave'), lives('parent')]);
  const card =
    enclave && parent ? await describeNode(placeOf(node), networkId).catch(() => undefined) : undefined;
  return { party, address, enclave, parent, card };
}

/** Gives the node what it does not have: a start that was interrupted may have come this far. */
export async function joinOnce(
  node: AskedNode,
  chain: ConfigurationChain,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { network } = await askUntil(node, () => true, signal);
    if (network?.configuration.digest === chain.newest.digest) return;
    try {
      await joinNode(placeOf(node.state()), chain);
      return;
    } catch (error) {
      // A slow node joins after the question has been given up: it is asked again.
      if (signal.aborted || !['TIMEOUT', 'BAD_PEER'].includes(codeOf(error))) throw error;
    }
  }
}

function placeOf({ address }: NodeState): NodePlace {
  return { identity: undefined, addresses: [address] };
}
