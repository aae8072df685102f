import { KmsError } from '../../shared/errors.ts';
import type { Finality } from '../../shared/network/chain-access.ts';
import type { Block } from './block.ts';
import type { ChainEndpoint } from './endpoint.ts';
import { Patience } from './patience.ts';

/** What one endpoint says is the newest final block. */
export interface HeadClaim {
  readonly endpoint: ChainEndpoint;
  readonly number: bigint;
  /** Undefined where the endpoint is still to be asked for it. */
  readonly block: Block | undefined;
}

export interface ClaimTerms {
  readonly chainId: bigint;
  readonly finality: Finality;
  /** How many claims are enough, if they are near each other. */
  readonly k: number;
  readonly requestMs: number;
  /** Enclave time. */
  readonly nowMs: number;
  /** Until when endpoints that have said that they are of this chain are not asked for it again; kept by the caller. */
  readonly ofChain: WeakMap<ChainEndpoint, number>;
}

/** See ofChain. */
const OF_CHAIN_MS = 60_000;

/** Endpoints see a new block at slightly different times: so far apart, their claims are the same. */
const NEAR = 1n;

/** Claims as they come in. */
export interface Claims {
  /** k that are near each other, or all: a first liar may be among them. */
  readonly first: Promise<readonly HeadClaim[]>;
  /** Of everybody who answers in time. */
  readonly all: Promise<readonly HeadClaim[]>;
  /** Nobody is waited for any more. */
  readonly enough: () => void;
}

/** Asks all endpoints at once; who does not answer in time, badly, or of another chain claims nothing. */
export function claimsOf(
  endpoints: readonly ChainEndpoint[],
  { chainId, finality, k, requestMs, nowMs, ofChain }: ClaimTerms,
): Claims {
  const patience = new Patience(requestMs);
  const { signal } = patience;
  const claims: HeadClaim[] = [];
  const { promise: near, resolve } = Promise.withResolvers<readonly HeadClaim[]>();
  const asks = endpoints.map(async (endpoint) => {
    if (nowMs >= (ofChain.get(endpoint) ?? 0)) {
      const id = await endpoint.chainId(signal);
      if (id !== chainId) throw new KmsError('BAD_PEER', `the endpoint is one of chain ${id}`);
      ofChain.set(endpoint, nowMs + OF_CHAIN_MS);
    }
    claims.push(await claimOf(endpoint, finality, signal));
    if (claims.length >= k && areNear(claims)) resolve([...claims]);
  });
  const all = Promise.allSettled(patience.with(asks)).then(() => claims);
  return { first: Promise.race([near, all]), all, enough: () => patience.enough() };
}

async function claimOf(endpoint: ChainEndpoint, finality: Finality, signal: AbortSignal): Promise<HeadClaim> {
  const tag = finality.kind === 'finalized' ? 'finalized' : 'latest';
  const block = await endpoint.blockByNumber(tag, signal);
  if (block === undefined) throw new KmsError('UNAVAILABLE', `the endpoint has no ${tag} block`);
  if (finality.kind === 'finalized') return { endpoint, number: block.number, block };
  const number = block.number - BigInt(finality.blocks);
  if (number < 0n) throw new KmsError('UNAVAILABLE', 'no block has its confirmations yet');
  return { endpoint, number, block: undefined };
}

function areNear(claims: readonly HeadClaim[]): boolean {
  const numbers = claims.map(({ number }) => number);
  return numbers.every((a) => numbers.every((b) => a - b <= NEAR));
}
