import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import type { GatewayContracts } from '../../gateway/adapter/network-contracts.ts';
import type { SendOutcome, TransactionCall } from '../../gateway/adapter/sender.ts';
import { readHandle } from '../../shared/gateway/handle.ts';
import { numberOf } from '../../shared/gateway/word.ts';
import { concat } from '../../shared/wire/bytes.ts';
import type { AskedRequest, RequestArgs } from './asked.ts';
import type { RequestClaim } from './claim.ts';
import type { SignedWord } from './enclave-client.ts';
import type { ConnectorPorts } from './ports.ts';

/** An answer that waits to be posted. */
export type Postable =
  | {
      readonly kind: 'public';
      readonly epoch: bigint;
      readonly words: readonly SignedWord[];
      readonly result: Uint8Array;
    }
  | { readonly kind: 'user'; readonly epoch: bigint; readonly words: readonly SignedWord[] }
  | {
      readonly kind: 'transfer';
      readonly epoch: bigint;
      readonly words: readonly SignedWord[];
      readonly claim: RequestClaim;
    };

/** Posts an answer by a transaction of its own. @throws {KmsError} what Chain and Sender throw */
export function postAlone(
  { network, sender }: ConnectorPorts,
  { args }: AskedRequest,
  answer: Postable,
): Promise<SendOutcome> {
  const { decryptions } = network.gateway;
  const isAnswered = async (): Promise<boolean> =>
    BigInt(await read(decryptions, 'answers', [args.id])) !== 0n;
  return sender.send(`answer-${args.id}`, answerCall(network.gateway, args, answer), isAnswered);
}

/** The transaction that posts an answer. */
function answerCall(
  { decryptions }: GatewayContracts,
  request: RequestArgs,
  answer: Postable,
): TransactionCall {
  const { epoch, words } = answer;
  const signatures = packed(words);
  switch (answer.kind) {
    case 'public':
      return callOf(decryptions, 'answerPublic', [request, hexOf(answer.result), epoch, signatures]);
    case 'user': {
      const digests = words.map(({ own }) => hexOf(own));
      return callOf(decryptions, 'answerUser', [request, epoch, partiesOf(words), digests, signatures]);
    }
    case 'transfer':
      return callOf(decryptions, 'answerTransfer', [request, transferOf(request, answer), signatures]);
  }
}

/** Party p is bit p-1. */
export function partiesOf(words: readonly Pick<SignedWord, 'party'>[]): bigint {
  return words.reduce((set, { party }) => set | (1n << BigInt(party - 1)), 0n);
}

/** Packed r, s, v, by party. */
export function packed(words: readonly SignedWord[]): Hex {
  return hexOf(concat(...words.map(({ signature }) => signature)));
}

/** As the enclaves signed it: level, kind and bound are the ciphertext's, as the chain has them. */
function transferOf(request: RequestArgs, { claim, epoch }: Extract<Postable, { kind: 'transfer' }>) {
  const [handle] = request.handles;
  const { kind, level, bound } = claim.ciphertexts[0]!.ciphertext;
  return {
    ...{ requestId: request.id, handle: handle!, originChainId: readHandle(bytesOf(handle!)).chainId },
    ...{ destinationChainId: numberOf(bytesOf(request.reference_)), account: request.consumer },
    ...{ keyId: request.keyId, kind, level, bound, epoch },
  };
}
