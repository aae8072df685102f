import { decodeFunctionData } from 'viem';
import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { eventsBackwards } from '../../gateway/adapter/events.ts';
import type { GatewayContracts } from '../../gateway/adapter/network-contracts.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import { SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import { word } from '../../shared/gateway/word.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import { signersIn } from './decryption.ts';
import type { ResultSigners } from './result-signers.ts';

/** What a user asked: the part of a share's statement that the user knows without asking anybody. */
export type UserQuestion = Pick<
  Typed<'UserDecryptionShare'>,
  'requestId' | 'destinationChainId' | 'user' | 'publicKeyHash' | 'keyId' | 'epoch' | 'handles'
>;

/** A share as calldata names it. Untrusted until its signature is verified. */
export interface NamedShare {
  readonly party: number;
  readonly shareDigest: Hex;
  readonly epoch: bigint;
  readonly keyState: number;
  readonly signature: Hex;
}

/** What a member's signer signed: the digest of its share for exactly this question. */
export interface SignedShare {
  readonly party: PartyId;
  readonly shareDigest: Hex;
}

/** Shares of a request in the calldata of the transactions that posted them: the answer, and what was added to it. */
export async function namedShares(
  { chain, decryptions }: Pick<GatewayContracts, 'chain' | 'decryptions'>,
  requestId: bigint,
  startBlock: bigint,
): Promise<readonly NamedShare[]> {
  const found: NamedShare[] = [];
  const topics = [null, hexOf(word(requestId))];
  for await (const logs of eventsBackwards(chain, decryptions.address, topics, startBlock)) {
    for (const { transactionHash } of logs) {
      const transaction = await chain.transaction(transactionHash);
      if (transaction?.to !== decryptions.address) continue;
      found.push(...sharesIn(decryptions.abi, transaction.input, requestId));
    }
  }
  return found;
}

/** What one call names of a request; nothing for a call that is of another kind. */
export function sharesIn(
  abi: GatewayContracts['decryptions']['abi'],
  input: Hex,
  requestId: bigint,
): readonly NamedShare[] {
  const call = decoded(abi, input);
  if (call?.functionName === 'addUserShare') {
    const [{ id, keyState }, epoch, party, shareDigest, signature] = call.args;
    return id === requestId ? [{ party, shareDigest, epoch, keyState, signature }] : [];
  }
  if (call?.functionName !== 'answerUser' || call.args[0].id !== requestId) return [];
  const [{ keyState }, epoch, parties, digests, signatures] = call.args;
  const packed = bytesOf(signatures);
  return membersOf(parties).flatMap((party, i) => {
    const shareDigest = digests[i];
    const signature = hexOf(packed.subarray(SIGNATURE_BYTES * i, SIGNATURE_BYTES * (i + 1)));
    return shareDigest === undefined ? [] : [{ party, shareDigest, epoch, keyState, signature }];
  });
}

/**
 * Those that the party's own signer signed for this question; signers of nodes that do not answer are not known.
 * @param needed so many signers are waited for; the others have a moment
 */
export async function verifiedShares(
  domain: TypedDomain,
  question: UserQuestion,
  shares: readonly NamedShare[],
  signers: Pick<ResultSigners, 'partiesOf'>,
  needed: number,
): Promise<readonly SignedShare[]> {
  const signed = shares
    .filter(({ epoch }) => epoch === question.epoch)
    .flatMap((share) => {
      const { party, keyState, shareDigest } = share;
      const statement = { ...question, party, keyState, shareDigest: bytesOf(shareDigest) };
      const digest = typedDigest(domain, 'UserDecryptionShare', statement);
      return [...signersIn(digest, bytesOf(share.signature))].map((address) => ({ ...share, address }));
    });
  const addresses = new Set(signed.map(({ address }) => address));
  const { parties } = await signers.partiesOf(addresses, needed);
  return signed
    .filter(({ address, party }) => parties.get(address) === party)
    .map(({ party, shareDigest }) => ({ party: partyId(party), shareDigest }));
}

function decoded(abi: GatewayContracts['decryptions']['abi'], input: Hex) {
  try {
    return decodeFunctionData({ abi, data: input });
  } catch {
    return undefined;
  }
}

/** Ascending, as contracts order them. */
function membersOf(set: bigint): readonly number[] {
  return [...set.toString(2)].reverse().flatMap((bit, i) => (bit === '1' ? [i + 1] : []));
}
