import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { getLimited } from '../../gateway/adapter/http-get.ts';
import { KmsError } from '../../shared/errors.ts';
import { MAX_USER_SHARE_BYTES } from '../../shared/gateway/user-share.ts';
import type { PartyId } from '../../shared/ids.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { Unanswered } from '../network.ts';
import type { GatewayContext } from './context.ts';
import { put } from './put.ts';

/**
 * Brings a user's public key to every parent: the chain has its hash, and nodes seal to a key.
 * @throws {KmsError} NOT_ENOUGH_PARTIES if fewer than 2t+1 took it
 */
export async function bringKey(
  { places, kms, waiting }: GatewayContext,
  publicKey: Uint8Array,
): Promise<void> {
  const { parties, decodingQuorum } = kms.network.committee;
  waiting.onProgress("bringing the user's key to the parents", 0, 0);
  const name = toHex(noble.sha256(publicKey));
  const brought = await Promise.allSettled(
    parties.map(async (party) =>
      put(`${connectorOf(places.connectors, party)}/user-keys/${name}`, publicKey),
    ),
  );
  const missing = parties.filter((_, i) => brought[i]?.status === 'rejected');
  const taken = parties.length - missing.length;
  if (taken >= decodingQuorum) return;
  const text = `${taken} of ${parties.length} parents took the user's key, ${decodingQuorum} must: are their connectors up?`;
  throw new Unanswered('NOT_ENOUGH_PARTIES', text, missing);
}

/**
 * A party's share as it is named on chain; its own parent alone has it.
 * @returns undefined while the parent does not give these bytes: whether it cannot or will not, nobody can tell
 */
export async function fetchShare(
  { places, waiting }: GatewayContext,
  requestId: bigint,
  party: PartyId,
  digest: Hex,
): Promise<Uint8Array | undefined> {
  const url = `${connectorOf(places.connectors, party)}/shares/${requestId}/${party}/${digest.slice(2)}`;
  const signal = AbortSignal.timeout(waiting.timeoutMs);
  const share = await getLimited(url, MAX_USER_SHARE_BYTES, signal).catch(() => undefined);
  return share !== undefined && hexOf(noble.sha256(share)) === digest ? share : undefined;
}

function connectorOf(connectors: readonly string[], party: PartyId): string {
  const url = connectors[party - 1];
  if (url === undefined) {
    throw new KmsError('BAD_INPUT', `the gateway file names no connector of party ${party}`);
  }
  return url;
}
