import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import type { HostContracts } from '../../gateway/adapter/network-contracts.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { recoverSigner, SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import type { PartyId } from '../../shared/ids.ts';
import type { GatewayContext } from './context.ts';
import { waitFor } from './waiting.ts';

/** A decrypted value and what became of each party. */
export interface Decryption {
  readonly value: Value;
  /** Gateway request that was answered. */
  readonly requestId: bigint;
  /** Parties whose word stands behind the value; at least 2t+1. */
  readonly agreeing: readonly PartyId[];
  /** Parties of which no usable word was found. */
  readonly missing: readonly PartyId[];
  /** Parties that signed a share which is none, or is off the others' polynomial. */
  readonly culprits: readonly PartyId[];
}

const MIN_LIFETIME_S = 30;
const MAX_LIFETIME_S = 7 * 86_400;

/** How long a request lives: nobody waits for its answer longer. Seconds. */
export function lifetimeOf({ waiting: { timeoutMs } }: GatewayContext): bigint {
  return BigInt(Math.min(MAX_LIFETIME_S, Math.max(MIN_LIFETIME_S, Math.ceil(timeoutMs / 1000))));
}

/** @throws {KmsError} NOT_PERMITTED unless the host chain lets the account use the handle: nobody is to wait for what never comes */
export async function requireAllowed(
  { chain, accessControl }: HostContracts,
  handle: Hex,
  account: Hex,
): Promise<void> {
  if (await read(accessControl, 'isAllowed', [handle, account])) return;
  throw new KmsError(
    'NOT_PERMITTED',
    `${account} may not use the handle on chain ${chain.chainId}; its owner can allow it`,
  );
}

/** Until the coprocessors have told the gateway that the host chain lets an account use a handle. @throws {KmsError} TIMEOUT */
export async function mirrored(
  { gateway, waiting }: GatewayContext,
  { chain }: HostContracts,
  handle: Hex,
  account: Hex,
): Promise<void> {
  const awaited = {
    what: 'the coprocessors tell the gateway who may use the handle',
    look: 'are most coprocessors up?',
  };
  await waitFor(waiting, awaited, async () => {
    const isAllowed = await read(gateway.ciphertexts, 'isAllowed', [handle, chain.chainId, account]);
    return isAllowed ? true : undefined;
  });
}

/**
 * Until the gateway has an answer.
 * @returns what it keeps as the answer: its hash
 * @throws {KmsError} REQUEST_OVER if the request expired, TIMEOUT
 */
export async function answered({ gateway, waiting }: GatewayContext, requestId: bigint): Promise<Hex> {
  const awaited = {
    what: `the nodes answer request ${requestId}`,
    look: 'it is asked for and may still be answered; are 2t+1 nodes and their connectors up?',
  };
  return waitFor(waiting, awaited, async () => {
    const answer = await read(gateway.decryptions, 'answers', [requestId]);
    if (BigInt(answer) === 1n) {
      throw new KmsError('REQUEST_OVER', `request ${requestId} expired without an answer; ask again`);
    }
    return BigInt(answer) === 0n ? undefined : answer;
  });
}

/** Addresses that signed, by the contracts' rule; what is no signature is nobody's. @param packed 65 bytes each */
export function signersIn(digest: Uint8Array, packed: Uint8Array): ReadonlySet<Hex> {
  const found = new Set<Hex>();
  for (let at = 0; at + SIGNATURE_BYTES <= packed.length; at += SIGNATURE_BYTES) {
    try {
      found.add(hexOf(recoverSigner(digest, packed.subarray(at, at + SIGNATURE_BYTES))));
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
    }
  }
  return found;
}

export function ascending(parties: Iterable<PartyId>): readonly PartyId[] {
  return [...new Set(parties)].sort((a, b) => a - b);
}
