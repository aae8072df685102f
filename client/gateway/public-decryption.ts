import { findAnswer, type SignedAnswer, statementOf } from '../../gateway/adapter/answers.ts';
import { bytesOf, type Hex } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { KmsError } from '../../shared/errors.ts';
import type { ValueKind } from '../../shared/fhe/envelope.ts';
import { presets } from '../../shared/fhe/presets.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { hashStruct, type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import { readHandle } from '../../shared/gateway/handle.ts';
import { batchLeaf, rootFrom } from '../../shared/gateway/merkle.ts';
import { decodeResult } from '../../shared/gateway/result-bytes.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import type { GatewayContext } from './context.ts';
import { committed } from './coprocessors.ts';
import { answered, type Decryption, lifetimeOf, mirrored, signersIn } from './decryption.ts';
import { type Acting, publish } from './handles.ts';
import { eventIn, send } from './transactions.ts';
import { quietly, waitFor } from './waiting.ts';

/** What was asked: an answer to anything else is none. */
export interface PublicQuestion {
  readonly domain: TypedDomain;
  readonly epoch: number;
  readonly requestId: bigint;
  readonly hostChainId: bigint;
  /** The account that asked. */
  readonly consumer: Hex;
  readonly handle: Hex;
}

/** Account of AccessControl that stands for everybody. */
const EVERYBODY: Hex = `0x${'0'.repeat(40)}`;
/** No contract asked. */
const NO_REQUEST: Hex = `0x${'0'.repeat(64)}`;

/**
 * Decrypts in public, through the gateway: the handle becomes public, everybody learns its value, and the answer stays on chain. The
 * value is the one that 2t+1 members signed for this handle, asked by this account: endpoints, relayers, connectors and coprocessors
 * can keep it from coming. Who breaks it: t+1 nodes that sign a wrong value with others, and for a computed handle the
 * coprocessors' majority, whose word its ciphertext is.
 * @throws {KmsError} BAD_ENCODING for what is no handle; NOT_PERMITTED, NOT_PROVEN, BAD_SIGNATURE, WRONG_EPOCH, REQUEST_OVER,
 * NOT_ENOUGH_PARTIES, TIMEOUT
 */
export async function decryptPublicly(
  context: GatewayContext,
  handle: Hex,
  { account, hostChainId }: Acting,
): Promise<Decryption> {
  const { gateway, waiting, kms, domain } = context;
  const { kind, chainId: origin } = readHandle(bytesOf(handle));
  const host = await context.host(hostChainId ?? origin);
  const { chainId } = host.chain;
  const access = await read(host.accessControl, 'access', [handle, EVERYBODY]);
  if ((access & 1n) === 0n) await publish(context, handle, { account, hostChainId: chainId });
  await committed(context, handle);
  await mirrored(context, host, handle, EVERYBODY);
  const value = await read(gateway.decryptions, 'feePerHandle', []);
  const args = [chainId, account.address, NO_REQUEST, [handle], lifetimeOf(context)] as const;
  const call = callOf(gateway.decryptions, 'requestPublic', args, { value });
  const receipt = await send(waiting, account, gateway.chain, call, 'ask for the decryption');
  const { id } = await eventIn(waiting, gateway.decryptions, 'PublicDecryptionRequested', receipt);
  const kept = await answered(context, id);
  const place = { ...gateway, startBlock: receipt.blockNumber };
  const awaited = {
    what: 'the signatures of the answer',
    look: 'the answer is on chain, but not in calldata of the gateway; does the endpoint keep transactions?',
  };
  const answer = await waitFor(quietly(waiting), awaited, () => findAnswer(place, id, kept));
  const { electorate, committee } = kms.network;
  const question = { domain, epoch: electorate.epoch, requestId: id, hostChainId: chainId, handle };
  const signers = signersOf({ ...question, consumer: account.address }, answer);
  const agreeing = await context.signers.quorumOf(signers, committee.decodingQuorum);
  return {
    value: valueIn(bytesOf(answer.result.result), kind),
    requestId: id,
    agreeing,
    missing: committee.parties.filter((party) => !agreeing.includes(party)),
    culprits: [],
  };
}

/**
 * Addresses whose signatures the answer has, for exactly what was asked. Whose they are is for the caller.
 * @throws {KmsError} NOT_PROVEN for the answer to something else, WRONG_EPOCH
 */
export function signersOf(
  asked: PublicQuestion,
  { result, signatures, batch }: SignedAnswer,
): ReadonlySet<Hex> {
  const isAsked =
    result.requestId === asked.requestId &&
    result.destinationChainId === asked.hostChainId &&
    result.consumer.toLowerCase() === asked.consumer &&
    result.hostRequest === NO_REQUEST &&
    result.handles.length === 1 &&
    result.handles[0] === asked.handle;
  if (!isAsked) throw new KmsError('NOT_PROVEN', 'the endpoint shows the answer to another request');
  if (result.epoch !== BigInt(asked.epoch)) {
    throw new KmsError(
      'WRONG_EPOCH',
      `epoch ${result.epoch} answered; get the network's newest configurations`,
    );
  }
  const statement = statementOf(result);
  const packed = bytesOf(signatures);
  if (batch === undefined) return signersIn(typedDigest(asked.domain, 'PublicDecryption', statement), packed);
  const root = rootFrom(batchLeaf(hashStruct('PublicDecryption', statement)), batch.proof.map(bytesOf));
  if (!equalBytes(root, bytesOf(batch.root)) || batch.epoch !== result.epoch) {
    throw new KmsError('NOT_PROVEN', 'the answer is not in the batch that was signed');
  }
  const signed = { root, count: batch.count, epoch: batch.epoch };
  return signersIn(typedDigest(asked.domain, 'ResultBatch', signed), packed);
}

/** The one value of a result; a vector has as many numbers as some ring has coefficients. @throws {KmsError} BAD_ENCODING */
export function valueIn(result: Uint8Array, kind: ValueKind): Value {
  const degree = kind === 'scalar' ? 1 : result.length / 8;
  const isSize = kind === 'scalar' || presets.some((preset) => preset.degree === degree);
  const [value] = isSize ? decodeResult(result, [kind], degree) : [];
  if (value === undefined) throw new KmsError('BAD_ENCODING', 'the result is not one of this handle');
  return value;
}
