import { KmsError } from '../errors.ts';
import { equalBytes } from '../wire/bytes.ts';
import { type Codec, encode, struct, u32, u64, union } from '../wire/codec.ts';
import { checkRpcSet, type RpcSet, rpcSetCodec } from './rpc.ts';

/** `finalized` as the chain says it, or a number of confirmations, 1 or more. */
export type Finality = { readonly kind: 'finalized' } | { readonly kind: 'depth'; readonly blocks: number };

/** How a chain is asked, and which of its blocks count. */
export interface ChainAccess {
  readonly chainId: bigint;
  readonly finality: Finality;
  /** How old the newest block may be, in seconds of enclave time; 1 or more. */
  readonly maxHeadAgeS: number;
  readonly rpc: RpcSet;
}

export const MAX_HOST_CHAINS = 8;
/** A day: with more the age of a head limits nothing. */
export const MAX_HEAD_AGE_LIMIT_S = 86_400;
/** A handle has room for six bytes. */
const MAX_CHAIN_ID = (1n << 48n) - 1n;

export const finalityCodec: Codec<Finality> = union<Finality>({
  finalized: struct<object>({}),
  depth: struct({ blocks: u32 }),
});

export const chainAccessCodec: Codec<ChainAccess> = struct({
  chainId: u64,
  finality: finalityCodec,
  maxHeadAgeS: u32,
  rpc: rpcSetCodec,
});

/** @throws {KmsError} BAD_INPUT */
export function checkFinality(finality: Finality): void {
  if (finality.kind === 'depth' && finality.blocks === 0) {
    throw new KmsError('BAD_INPUT', 'a block without confirmations is not final');
  }
}

/** @throws {KmsError} BAD_INPUT */
export function checkHeadAge(maxHeadAgeS: number): void {
  if (!(maxHeadAgeS >= 1 && maxHeadAgeS <= MAX_HEAD_AGE_LIMIT_S)) {
    throw new KmsError('BAD_INPUT', `a chain's newest block may be 1..${MAX_HEAD_AGE_LIMIT_S} seconds old`);
  }
}

/** Host chains by themselves: ascending by id, each once. @throws {KmsError} BAD_INPUT */
export function checkHostChains(hosts: readonly ChainAccess[]): void {
  if (hosts.length > MAX_HOST_CHAINS) {
    throw new KmsError('BAD_INPUT', `a network has at most ${MAX_HOST_CHAINS} host chains`);
  }
  for (const [i, { chainId, finality, maxHeadAgeS, rpc }] of hosts.entries()) {
    if (chainId < 1n || chainId > MAX_CHAIN_ID) {
      throw new KmsError('BAD_INPUT', `chain id ${chainId} does not fit a handle`);
    }
    if (i > 0 && chainId <= hosts[i - 1]!.chainId) {
      throw new KmsError('BAD_INPUT', 'host chains are listed by id, ascending, each once');
    }
    checkFinality(finality);
    checkHeadAge(maxHeadAgeS);
    checkRpcSet(rpc, true);
  }
}

export function isSameAccess(a: ChainAccess | undefined, b: ChainAccess | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(encode(chainAccessCodec, a), encode(chainAccessCodec, b));
}
