import { type AbiFunction, decodeAbiParameters, getAbiItem, toFunctionSelector } from 'viem';
import { decryptionsAbi } from '../../gateway/adapter/abi/gateway.ts';
import { bytesOf, type Hex } from '../../gateway/adapter/chain-data.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';

const requestUser = getAbiItem({ abi: decryptionsAbi, name: 'requestUser' }) as AbiFunction;
const [permitType] = getAbiItem({ abi: decryptionsAbi, name: 'requestUser' }).inputs;
const SELECTOR = toFunctionSelector(requestUser).slice(2);
/** A permit is static: eight words behind the selector. */
const PERMIT_DIGITS = 2 * 8 * 32;

/**
 * The permit of a request, from the calldata of the transaction that made it. Wallets that are contracts, and bundlers, call from
 * within: the call is looked for anywhere in the calldata, and the digest tells which one it is.
 * @param reference digest of the permit, as the request has it; 32 bytes
 * @returns undefined if it is not there
 */
export function permitIn(
  input: Hex,
  reference: Uint8Array,
  domain: TypedDomain,
): Typed<'UserDecryptionRequest'> | undefined {
  for (let at = input.indexOf(SELECTOR); at >= 0; at = input.indexOf(SELECTOR, at + 1)) {
    const from = at + SELECTOR.length;
    // Whole bytes only; the digits of the prefix count as one.
    if (at % 2 !== 0) continue;
    const permit = decoded(`0x${input.slice(from, from + PERMIT_DIGITS)}`, reference, domain);
    if (permit !== undefined) return permit;
  }
  return undefined;
}

function decoded(
  words: Hex,
  reference: Uint8Array,
  domain: TypedDomain,
): Typed<'UserDecryptionRequest'> | undefined {
  try {
    const [{ user, delegate, publicKeyHash, context, ...numbers }] = decodeAbiParameters([permitType], words);
    const permit = {
      ...{ user: bytesOf(user), delegate: bytesOf(delegate), publicKeyHash: bytesOf(publicKeyHash) },
      ...{ context: bytesOf(context), ...numbers },
    };
    const digest = typedDigest(domain, 'UserDecryptionRequest', permit);
    return equalBytes(digest, reference) ? permit : undefined;
  } catch {
    // Other bytes that only begin like it, and may be in the way of the right ones.
    return undefined;
  }
}
