import { decodeFunctionData } from 'viem';
import { hashStruct } from '../../shared/gateway/eip712.ts';
import { batchLeaf, merkleProof, merkleRoot } from '../../shared/gateway/merkle.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import type { decryptionsAbi } from './abi/gateway.ts';
import { bytesOf, type Hex } from './chain-data.ts';
import type { Contract } from './contract.ts';
import { eventsBackwards, topicOf } from './events.ts';
import type { GatewayContracts } from './network-contracts.ts';

/** A result as the oracle takes it. */
export interface PublicResult {
  readonly requestId: bigint;
  readonly destinationChainId: bigint;
  readonly verifier: Hex;
  readonly consumer: Hex;
  readonly hostRequest: Hex;
  readonly keyId: Hex;
  readonly keyState: number;
  readonly epoch: bigint;
  readonly handles: readonly Hex[];
  readonly result: Hex;
}

/** An answer with what proves it: signatures of its own, or a place in a signed batch. */
export interface SignedAnswer {
  readonly result: PublicResult;
  readonly signatures: Hex;
  readonly batch:
    | {
        readonly root: Hex;
        readonly count: number;
        readonly epoch: bigint;
        /** Struct hash of the batch, under which verifiers remember it. */
        readonly name: Hex;
        readonly proof: readonly Hex[];
      }
    | undefined;
}

interface RequestFields {
  readonly id: bigint;
  readonly kind: number;
  readonly hostChainId: bigint;
  readonly verifier: Hex;
  readonly consumer: Hex;
  readonly reference_: Hex;
  readonly keyId: Hex;
  readonly keyState: number;
  readonly handles: readonly Hex[];
}

interface AnswerFields {
  readonly request: RequestFields;
  readonly result: Hex;
  readonly parties: bigint;
  readonly shareDigests: readonly Hex[];
}

const PUBLIC = 1;

/** Where answers are looked for. */
export interface AnswerPlace extends Pick<GatewayContracts, 'chain' | 'decryptions'> {
  /** Where its contracts begin. */
  readonly startBlock: bigint;
}

/**
 * How a request was answered, from the calldata of the transaction that did it.
 * @param statement what the gateway keeps as the answer: no other calldata is believed
 * @returns undefined if it is not to be found: answered through another contract, say
 */
export async function findAnswer(
  { chain, decryptions, startBlock }: AnswerPlace,
  requestId: bigint,
  statement: Hex,
): Promise<SignedAnswer | undefined> {
  const topic = topicOf(decryptions.abi, 'PublicDecryptionAnswered');
  const id: Hex = `0x${requestId.toString(16).padStart(64, '0')}`;
  for await (const logs of eventsBackwards(chain, decryptions.address, [topic, id], startBlock)) {
    for (const log of logs) {
      const transaction = await chain.transaction(log.transactionHash);
      if (transaction?.to !== decryptions.address) continue;
      const found = answerIn(decryptions, transaction.input, requestId);
      if (found !== undefined && toHex(statementHash(found.result)) === statement.slice(2)) return found;
    }
  }
  return undefined;
}

/** What a transaction's calldata answers, if it answers this request. */
export function answerIn(
  { abi }: Pick<Contract<typeof decryptionsAbi>, 'abi'>,
  input: Hex,
  requestId: bigint,
): SignedAnswer | undefined {
  const call = decoded(abi, input);
  if (call?.functionName === 'answerPublic') {
    const [request, result, epoch, signatures] = call.args;
    if (request.id !== requestId) return undefined;
    return { result: resultOf(request, result, epoch), signatures, batch: undefined };
  }
  if (call?.functionName !== 'answerBatch') return undefined;
  const [epoch, answers, signatures] = call.args;
  const index = answers.findIndex(({ request }) => request.id === requestId && request.kind === PUBLIC);
  if (index < 0) return undefined;
  const { request, result } = answers[index]!;
  const leaves = answers.map((answer) => batchLeaf(leafOf(answer, epoch)));
  const root = merkleRoot(leaves);
  const count = answers.length;
  const name = hashStruct('ResultBatch', { root, count, epoch });
  const proof = merkleProof(leaves, index).map(hex);
  return {
    result: resultOf(request, result, epoch),
    signatures,
    batch: { root: hex(root), count, epoch, name: hex(name), proof },
  };
}

function decoded(abi: typeof decryptionsAbi, input: Hex) {
  try {
    return decodeFunctionData({ abi, data: input });
  } catch {
    return undefined;
  }
}

function resultOf(r: RequestFields, result: Hex, epoch: bigint): PublicResult {
  const { id: requestId, hostChainId: destinationChainId, verifier, consumer, reference_: hostRequest } = r;
  const { keyId, keyState, handles } = r;
  return {
    requestId,
    destinationChainId,
    verifier,
    consumer,
    hostRequest,
    keyId,
    keyState,
    epoch,
    handles,
    result,
  };
}

function leafOf({ request, result, parties, shareDigests }: AnswerFields, epoch: bigint): Uint8Array {
  if (request.kind === PUBLIC) return statementHash(resultOf(request, result, epoch));
  return hashStruct('UserDecryption', {
    requestId: request.id,
    parties,
    shareDigests: shareDigests.map(bytesOf),
  });
}

/** The typed statement that nodes sign. */
export function statementOf(result: PublicResult): Typed<'PublicDecryption'> {
  return {
    ...result,
    verifier: bytesOf(result.verifier),
    consumer: bytesOf(result.consumer),
    hostRequest: bytesOf(result.hostRequest),
    keyId: bytesOf(result.keyId),
    handles: result.handles.map(bytesOf),
    result: bytesOf(result.result),
  };
}

function statementHash(result: PublicResult): Uint8Array {
  return hashStruct('PublicDecryption', statementOf(result));
}

function hex(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`;
}
