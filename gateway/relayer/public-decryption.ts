import { type DecodeEventLogReturnType, encodeAbiParameters, keccak256 } from 'viem';
import { KmsError } from '../../shared/errors.ts';
import type { oracleAbi } from '../adapter/abi/host.ts';
import { findAnswer } from '../adapter/answers.ts';
import type { ChainLogEntry, Hex } from '../adapter/chain-data.ts';
import { callOf, read } from '../adapter/contract.ts';
import { eventOf, eventsBackwards, topicOf } from '../adapter/events.ts';
import { revertOf } from '../adapter/log.ts';
import type { SendOutcome } from '../adapter/sender.ts';
import type { Attempt } from '../adapter/workshop.ts';
import type { HostSide, RelayerNetwork } from './network.ts';

type Asked = DecodeEventLogReturnType<typeof oracleAbi, 'DecryptionRequested'>['args'];

const EXPIRED = 1n;
/** Callbacks that fail are tried so often here; anybody may go on, and the result stays to be pulled. */
const CALLBACK_TRIES = 3;
/** DecryptionOracle.MARGIN_GAS, and what a transaction and its calldata cost before the callback. */
const EXECUTE_GAS = 60_000n + 250_000n;

/** Bells for what a request waits for. */
export const answerBell = (id: bigint): string => `answer-${id}`;
export const handleBell = (handle: Hex): string => `handle-${handle}`;

/** Name of the work of one oracle request. The slot tells apart requests of one id on chains that were reorganised. */
export function askedKey(chainId: bigint, { id, slot }: Pick<Asked, 'id' | 'slot'>): string {
  return `ask-${chainId}-${id}-${slot.slice(2)}`;
}

/**
 * Carries one request of a host chain's oracle as far as it goes now: to the gateway, back with its answer, and into its callback. What
 * is done already is read from the chains each time, so it may be killed anywhere, and others may do the same.
 * @throws {KmsError} BAD_ENCODING for a log that is no request; what Chain throws
 */
export async function carry(network: RelayerNetwork, host: HostSide, log: ChainLogEntry): Promise<Attempt> {
  const event = eventOf(host.oracle, log);
  if (event?.eventName !== 'DecryptionRequested')
    throw new KmsError('BAD_ENCODING', 'no request of an oracle');
  const asked = event.args;
  const [slot, isExecuted, isDelivered, carried] = await Promise.all([
    read(host.oracle, 'requests', [asked.id]),
    read(host.oracle, 'executed', [asked.id]),
    read(host.oracle, 'delivered', [asked.id]),
    carriedBy(network, host, asked),
  ]);
  if (slot !== asked.slot) {
    network.log('warn', 'request-undone', { chain: Number(host.chain.chainId), count: Number(asked.id) });
    return 'done';
  }
  if (isExecuted) return 'done';
  if (!isDelivered) {
    if (carried === undefined) return ask(network, host, asked);
    const { id, answer } = carried;
    if (BigInt(answer) === 0n) return await expire(network, id);
    const waiting = await deliver(network, host, asked, id, answer);
    if (waiting !== undefined) return waiting;
  }
  return execute(network, host, asked);
}

/** The gateway request that carries it and what answers that, unless it expired. */
async function carriedBy(
  { gateway }: RelayerNetwork,
  host: HostSide,
  asked: Asked,
): Promise<{ readonly id: bigint; readonly answer: Hex } | undefined> {
  const types = ['uint256', 'bytes32', 'address', 'bytes32[]'].map((type) => ({ type }));
  const { slot, consumer, request } = asked;
  const key = keccak256(encodeAbiParameters(types, [host.chain.chainId, slot, consumer, request.handles]));
  const id = await read(gateway.decryptions, 'carriedBy', [key]);
  if (id === 0n) return undefined;
  const answer = await read(gateway.decryptions, 'answers', [id]);
  return BigInt(answer) === EXPIRED ? undefined : { id, answer };
}

async function ask(network: RelayerNetwork, host: HostSide, asked: Asked): Promise<Attempt> {
  const { gateway, lifetimeS, maxFeePerHandleWei, log } = network;
  const { handles } = asked.request;
  const chain = Number(host.chain.chainId);
  const fee = await read(gateway.decryptions, 'feePerHandle', []);
  if (fee > maxFeePerHandleWei) {
    log('warn', 'fee-too-high', { chain, count: Number(asked.id) });
    return { later: [] };
  }
  const call = callOf(
    gateway.decryptions,
    'requestPublic',
    [host.chain.chainId, asked.consumer, asked.slot, handles, BigInt(lifetimeS)],
    { value: fee * BigInt(handles.length) },
  );
  const isCarried = async (): Promise<boolean> => (await carriedBy(network, host, asked)) !== undefined;
  const outcome = await gateway.sender.send(
    `request-${askedKey(host.chain.chainId, asked)}`,
    call,
    isCarried,
  );
  // Coprocessors may not have committed the handles yet.
  if (outcome.kind === 'refused') return { later: handles.map(handleBell) };
  const carried = await carriedBy(network, host, asked);
  return { later: carried === undefined ? [] : [answerBell(carried.id)] };
}

/** Waits for the answer; a request that is over is ended, so that another one can be made. */
async function expire({ gateway }: RelayerNetwork, id: bigint): Promise<Attempt> {
  const waiting = { later: [answerBell(id)] };
  const word: Hex = `0x${id.toString(16).padStart(64, '0')}`;
  const topics = [topicOf(gateway.decryptions.abi, 'PublicDecryptionRequested'), word];
  for await (const [log] of eventsBackwards(
    gateway.chain,
    gateway.decryptions.address,
    topics,
    gateway.startBlock,
  )) {
    const event = log === undefined ? undefined : eventOf(gateway.decryptions, log);
    if (event?.eventName !== 'PublicDecryptionRequested') return waiting;
    const { request } = event.args;
    if ((await gateway.chain.latest()).timestamp <= request.expiresAt) return waiting;
    const isOver = async (): Promise<boolean> =>
      BigInt(await read(gateway.decryptions, 'answers', [id])) !== 0n;
    await gateway.sender.send(`expire-${id}`, callOf(gateway.decryptions, 'expire', [request]), isOver);
    return { later: [] };
  }
  return waiting;
}

/** @returns undefined once the result is on the host chain */
async function deliver(
  network: RelayerNetwork,
  host: HostSide,
  asked: Asked,
  id: bigint,
  statement: Hex,
): Promise<Attempt | undefined> {
  const { oracle, verifier, sender } = host;
  const found = await findAnswer(network.gateway, id, statement);
  const chain = Number(host.chain.chainId);
  if (found === undefined) {
    network.log('error', 'answer-not-found', { chain, count: Number(asked.id) });
    return { later: [] };
  }
  const { request } = asked;
  const { result, batch, signatures } = found;
  const isDelivered = (): Promise<boolean> => read(oracle, 'delivered', [asked.id]);
  let outcome: SendOutcome;
  const key = `deliver-${askedKey(host.chain.chainId, asked)}`;
  if (batch === undefined) {
    outcome = await sender.send(key, callOf(oracle, 'deliver', [request, result, signatures]), isDelivered);
  } else {
    const isKnown = await read(verifier, 'verifiedBatches', [batch.name]);
    const args = [request, result, batch, batch.proof, isKnown ? '0x' : signatures] as const;
    outcome = await sender.send(key, callOf(oracle, 'deliverFromBatch', args), isDelivered);
  }
  if (outcome.kind !== 'refused') return undefined;
  // Its epoch's time may be over here, or the next committee not known yet.
  network.log('warn', 'delivery-refused', { chain, count: Number(asked.id), ...revertOf(outcome.refusal) });
  return { later: [] };
}

async function execute(network: RelayerNetwork, host: HostSide, asked: Asked): Promise<Attempt> {
  const { oracle, sender } = host;
  const { request } = asked;
  const isExecuted = (): Promise<boolean> => read(oracle, 'executed', [asked.id]);
  const gas = (BigInt(request.gasLimit) * 64n) / 63n + EXECUTE_GAS;
  const key = `execute-${askedKey(host.chain.chainId, asked)}`;
  await sender.send(key, callOf(oracle, 'execute', [request], { gas }), isExecuted);
  const { callbackFailures: failures, log } = network;
  if (await isExecuted()) {
    failures.delete(key);
    return 'done';
  }
  log('warn', 'callback-failed', { chain: Number(host.chain.chainId), count: Number(asked.id) });
  const count = (failures.get(key) ?? 0) + 1;
  failures.set(key, count);
  if (count < CALLBACK_TRIES) return { later: [] };
  failures.delete(key);
  return 'never';
}
