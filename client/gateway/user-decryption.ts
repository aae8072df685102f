import { bytesOf, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { type Envelope, openEnvelope } from '../../shared/fhe/envelope.ts';
import { checkDecryptable } from '../../shared/fhe/noise.ts';
import { decodeValue } from '../../shared/fhe/value.ts';
import { typedDigest } from '../../shared/gateway/eip712.ts';
import { readHandle } from '../../shared/gateway/handle.ts';
import { word } from '../../shared/gateway/word.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { Ring } from '../../shared/math/ring.ts';
import { noble } from '../../shared/noble.ts';
import type { Rng } from '../../shared/primitives.ts';
import { taskOf } from '../../shared/protocol/decryption/task.ts';
import { UserDecryption } from '../../shared/protocol/user-decryption/combine.ts';
import { userKeyDigest } from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { UserKey } from '../../shared/protocol/user-decryption/user-key.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { bringKey } from './connectors.ts';
import type { GatewayContext } from './context.ts';
import { envelopeOf } from './coprocessors.ts';
import { answered, type Decryption, lifetimeOf, mirrored, requireAllowed } from './decryption.ts';
import type { Acting } from './handles.ts';
import { forAbi, permitFor } from './permit.ts';
import { eventIn, send } from './transactions.ts';
import { UserShares } from './user-shares.ts';

export interface UserActing extends Acting {
  /** Holds the key that the shares are sealed to. */
  readonly userKey: UserKey;
  /** The application whose permit it is; it must be allowed the handle too. Default: the account itself. */
  readonly application?: Hex;
  /** The handle's envelope, for whoever has it; else a coprocessor is asked. */
  readonly envelope?: Uint8Array;
}

/**
 * Decrypts for the holder of a user key alone, through the gateway: the account signs a permit, every node seals its share to the key,
 * and only this process puts them together. Each share counts with its node's two signatures, on the digest for this handle, user
 * and key, and on the share itself for this very ciphertext; errors are corrected and their signers named. Endpoints, connectors and
 * coprocessors can keep the value from coming. Who breaks it: t+1 nodes, a thief of the user's key, this process, and for a computed
 * handle the coprocessors' majority, whose word its ciphertext is.
 * @throws {KmsError} BAD_ENCODING, TOO_NOISY, NOT_PERMITTED, STALE_HEAD, REQUEST_OVER, NOT_ENOUGH_PARTIES, NOT_DECODABLE, TIMEOUT
 */
export async function decryptForUser(
  context: GatewayContext,
  handle: Hex,
  { account, hostChainId, userKey, application = account.address, envelope }: UserActing,
  rng: Rng,
): Promise<Decryption> {
  const { gateway, waiting, kms, domain } = context;
  const { chainId: origin } = readHandle(bytesOf(handle));
  const host = await context.host(hostChainId ?? origin);
  const { chainId } = host.chain;
  const users = new Set([account.address, application]);
  for (const one of users) await requireAllowed(host, handle, one);
  const opened = envelope === undefined ? await envelopeOf(context, handle) : openEnvelope(envelope, noble);
  checkDecryptable(opened.preset, opened.bound);
  await bringKey(context, userKey.publicKey);
  for (const one of users) await mirrored(context, host, handle, one);
  const permit = await permitFor(context, account.address, application, userKey, chainId);
  const signature = hexOf(await account.signDigest(typedDigest(domain, 'UserDecryptionRequest', permit)));
  const value = await read(gateway.decryptions, 'feePerHandle', []);
  const args = [forAbi(permit), signature, [handle], lifetimeOf(context)] as const;
  const call = callOf(gateway.decryptions, 'requestUser', args, { value });
  const receipt = await send(waiting, account, gateway.chain, call, 'ask for the decryption');
  const { id } = await eventIn(waiting, gateway.decryptions, 'UserDecryptionRequested', receipt);
  await answered(context, id);
  const { epoch } = kms.network.electorate;
  const question = {
    ...{ requestId: id, destinationChainId: chainId, user: bytesOf(account.address), epoch: BigInt(epoch) },
    ...{ publicKeyHash: permit.publicKeyHash, keyId: fromHex(opened.keyId), handles: [bytesOf(handle)] },
  };
  const kernel = await Kernel.load();
  const combining = combinerOf(context, kernel, opened, userKey, id, rng);
  const shares = new UserShares(context, question, receipt.blockNumber, combining);
  const { plaintext, ...parties } = await shares.result();
  return { value: decodeValue(kernel, opened.preset, opened.kind, plaintext), requestId: id, ...parties };
}

function combinerOf(
  { kms }: GatewayContext,
  kernel: Kernel,
  opened: Envelope,
  { publicKey, privateKey }: UserKey,
  requestId: bigint,
  rng: Rng,
): UserDecryption {
  const { electorate, committee } = kms.network;
  const { preset, kind, keyId, digest } = opened;
  const data = new Ring(kernel, preset.degree, preset.dataPrimes);
  return new UserDecryption({
    scope: {
      ...{ request: word(requestId), networkId: electorate.networkId, key: keyId, epoch: electorate.epoch },
      ...{
        ciphertext: digest,
        userKey: userKeyDigest(noble, publicKey),
        kind,
        level: preset.decryptionLevel,
      },
    },
    ...{ committee, identities: electorate.identities, privateKey, primitives: noble, preset, rng },
    ring: data.take(preset.decryptionLevel),
    c0: taskOf(opened, () => data).c0,
  });
}
