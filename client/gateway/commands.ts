import { keccak256 } from 'viem';
import { bytesOf, type ChainLogEntry, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { eventOf, eventsBackwards, topicOf } from '../../gateway/adapter/events.ts';
import { KmsError } from '../../shared/errors.ts';
import type { GatewayCommand } from '../../shared/gateway/commitments.ts';
import { word } from '../../shared/gateway/word.ts';
import { concat, equalBytes } from '../../shared/wire/bytes.ts';
import { approve, MORE_OPERATORS } from './approval.ts';
import type { GatewayContext } from './context.ts';
import { eventIn } from './transactions.ts';
import { quietly, waitFor } from './waiting.ts';
import type { Wallet } from './wallet.ts';

/** What operators want done. */
export interface Commanded {
  /** As Commands.sol has it. */
  readonly kind: number;
  /** `abi.encode` of the kind's payload. */
  readonly payload: Uint8Array;
  /** As in "generate a key". */
  readonly what: string;
}

/** A command that enough nodes carried out, with what they state about it, as the chain says it. */
export interface CarriedOut {
  readonly command: GatewayCommand;
  readonly statement: Uint8Array;
}

const LIFETIME_S = 3600n;
const EXPIRED = 3;
const ACTIVATED = 2;

/**
 * Operators approve a command until their quorum is complete, and the nodes carry it out. The same call from operators elsewhere counts
 * too, and what was approved before an interruption still does. What the chain says here decides nothing: nodes prove the command,
 * and whoever uses its outcome verifies that.
 * @throws {KmsError} NOT_PERMITTED without enough operators, REQUEST_OVER if the nodes did not carry it out in its time, TIMEOUT
 */
export async function carryOut(
  context: GatewayContext,
  operators: readonly Wallet[],
  wanted: Commanded,
): Promise<CarriedOut> {
  const { keys } = context.gateway;
  // Whoever commands the same at the same time sends the same call.
  const count = await read(keys, 'commandCount', []);
  const salt = BigInt(keccak256(concat(wanted.payload, word(count))));
  const action = await approve(context, operators, {
    call: callOf(keys, 'request', [wanted.kind, hexOf(wanted.payload), LIFETIME_S, salt]),
    what: wanted.what,
    isOver: async () => (await read(keys, 'commandCount', [])) !== count,
  });
  const command = await requested(context, action, wanted);
  return { command, statement: await activated(context, command, wanted) };
}

/** The command that the last approval made. */
async function requested(
  { gateway, waiting }: GatewayContext,
  action: Hex,
  { kind, payload, what }: Commanded,
): Promise<GatewayCommand> {
  const { registry, keys, chain } = gateway;
  const topics = [topicOf(registry.abi, 'ActionCarriedOut'), action];
  const awaited = {
    what: `the approvals of more operators: ${what}`,
    look: MORE_OPERATORS,
  };
  const carriedOut = await waitFor(waiting, awaited, () => newest(chain, registry.address, topics));
  const { command } = await eventIn(waiting, keys, 'CommandRequested', carriedOut);
  if (command.kind !== kind || !equalBytes(bytesOf(command.payload), payload)) {
    throw new KmsError('NOT_PROVEN', 'the endpoint shows another command than the operators approved');
  }
  return { ...command, payload };
}

async function activated(
  { gateway, waiting, kms }: GatewayContext,
  { id, kind }: GatewayCommand,
  { what }: Commanded,
): Promise<Uint8Array> {
  const { keys, chain } = gateway;
  const { parties, certificateQuorum } = kms.network.committee;
  const awaited = {
    what: `the nodes ${what}`,
    look: `command ${id} goes on without this process; are the nodes and their connectors up?`,
  };
  await waitFor(waiting, awaited, async () => {
    const phase = await read(keys, 'phases', [id]);
    if (phase === ACTIVATED) return true;
    if (phase === EXPIRED) throw new KmsError('REQUEST_OVER', `command ${id} has expired; command it again`);
    const responses = await Promise.all(parties.map((party) => read(keys, 'responses', [id, party])));
    const count = responses.filter((response) => BigInt(response) !== 0n).length;
    waiting.onProgress(awaited.what, Math.min(count, certificateQuorum), certificateQuorum);
    return undefined;
  });
  const topics = [topicOf(keys.abi, 'CommandActivated'), hexOf(word(id)), hexOf(word(BigInt(kind)))];
  const log = await waitFor(quietly(waiting), { ...awaited, what: 'what the nodes state' }, () =>
    newest(chain, keys.address, topics),
  );
  const event = eventOf(keys, log);
  if (event?.eventName !== 'CommandActivated') throw new KmsError('BAD_ENCODING', 'no activated command');
  return bytesOf(event.args.statement);
}

/** The newest event with these topics. */
export async function newest(
  chain: GatewayContext['gateway']['chain'],
  address: Hex,
  topics: readonly Hex[],
): Promise<ChainLogEntry | undefined> {
  for await (const logs of eventsBackwards(chain, address, topics, 0n)) return logs.at(-1);
  return undefined;
}
