import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import { KmsError } from '../../shared/errors.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import { noble } from '../../shared/noble.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import type { GatewayContext } from './context.ts';
import { lifetimeOf } from './decryption.ts';

/** What a chain's clock and this one may be apart. */
const MAX_CLOCK_SKEW_S = 3600n;
/** Before and after the request's own life. */
const PERMIT_MARGIN_S = 300n;
const NOBODY = new Uint8Array(20);

/**
 * What a user signs so that one application's plaintexts are sealed to its key: good for as long as the request may live, so one that gets
 * lost is soon worth nothing.
 * @throws {KmsError} STALE_HEAD if the endpoint's chain has another time than this machine: nobody signs for then
 */
export async function permitFor(
  context: GatewayContext,
  user: Hex,
  application: Hex,
  { publicKey }: Pick<UserKey, 'publicKey'>,
  hostChainId: bigint,
): Promise<Typed<'UserDecryptionRequest'>> {
  const { gateway } = context;
  const { timestamp } = await gateway.chain.latest();
  const skew = timestamp - BigInt(Math.floor(Date.now() / 1000));
  if (skew > MAX_CLOCK_SKEW_S || -skew > MAX_CLOCK_SKEW_S) {
    throw new KmsError(
      'STALE_HEAD',
      `the gateway's newest block is ${skew} s from this clock; nothing is signed for then`,
    );
  }
  return {
    ...{ user: bytesOf(user), delegate: NOBODY, publicKeyHash: noble.sha256(publicKey), hostChainId },
    context: bytesOf(application),
    validFrom: timestamp - PERMIT_MARGIN_S,
    validUntil: timestamp + lifetimeOf(context) + PERMIT_MARGIN_S,
    nonce: await read(gateway.decryptions, 'permitNonces', [user]),
  };
}

/** As contracts take it. */
export function forAbi({ user, delegate, publicKeyHash, context, ...rest }: Typed<'UserDecryptionRequest'>) {
  return {
    ...rest,
    ...{ user: hexOf(user), delegate: hexOf(delegate), publicKeyHash: hexOf(publicKeyHash) },
    context: hexOf(context),
  };
}
