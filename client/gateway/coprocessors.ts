import { type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { read } from '../../gateway/adapter/contract.ts';
import { eventOf, topicOf } from '../../gateway/adapter/events.ts';
import { getLimited } from '../../gateway/adapter/http-get.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Envelope, MAX_ENVELOPE_BYTES, openEnvelope } from '../../shared/fhe/envelope.ts';
import { noble } from '../../shared/noble.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { newest } from './commands.ts';
import type { GatewayContext } from './context.ts';
import { put } from './put.ts';
import { quietly, waitFor } from './waiting.ts';

/**
 * Brings an input's envelope to all coprocessors; a strict majority must take it, since that many must say what its handle is.
 * @throws {KmsError} UNAVAILABLE that says which did not
 */
export async function upload({ places, waiting }: GatewayContext, envelope: Uint8Array): Promise<void> {
  const { coprocessors } = places;
  waiting.onProgress('uploading to the coprocessors', 0, 0);
  const name = toHex(noble.sha256(envelope));
  const uploads = coprocessors.map((url) => put(`${url}/v1/envelopes/${name}`, envelope));
  const failures = (await Promise.allSettled(uploads)).flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  );
  const taken = coprocessors.length - failures.length;
  if (2 * taken > coprocessors.length) return;
  const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : 'it failed'));
  throw new KmsError(
    'UNAVAILABLE',
    `${taken} of ${coprocessors.length} coprocessors took the envelope, more than half must: ${reasons.join('; ')}`,
    { cause: failures[0] },
  );
}

/** Until most coprocessors have said which bytes the handle names. @throws {KmsError} TIMEOUT */
export async function committed({ gateway, waiting }: GatewayContext, handle: Hex): Promise<void> {
  const awaited = {
    what: 'the coprocessors commit the handle',
    look: 'are most coprocessors up, and did they get every input that it needs?',
  };
  await waitFor(waiting, awaited, async () => {
    const commitment = await read(gateway.ciphertexts, 'commitments', [handle]);
    return BigInt(commitment) === 0n ? undefined : true;
  });
}

/**
 * The envelope of a handle, as the coprocessors committed it. Whether it is the handle's own, their majority says and an endpoint
 * repeats: who relies on it, does so by what nodes signed about its digest.
 * @throws {KmsError} UNAVAILABLE if no coprocessor has it, TIMEOUT; BAD_ENCODING, WRONG_LEVEL for one that is not well formed
 */
export async function envelopeOf(context: GatewayContext, handle: Hex): Promise<Envelope> {
  const { gateway, places, waiting } = context;
  await committed(context, handle);
  const { ciphertexts, chain } = gateway;
  const topics = [topicOf(ciphertexts.abi, 'CiphertextCommitted'), handle];
  const awaited = { what: "the handle's digest", look: 'does the endpoint keep events?' };
  const log = await waitFor(quietly(waiting), awaited, () => newest(chain, ciphertexts.address, topics));
  const event = eventOf(ciphertexts, log);
  if (event?.eventName !== 'CiphertextCommitted') throw new KmsError('BAD_ENCODING', 'no commitment');
  const { digest } = event.args.ciphertext;
  const fetching = {
    what: 'the envelope from a coprocessor',
    look: `is one up that has handle ${handle}?`,
  };
  const signal = AbortSignal.timeout(waiting.timeoutMs);
  return waitFor(waiting, fetching, async () => {
    for (const url of places.coprocessors) {
      const where = `${url}/v1/ciphertexts/${handle.slice(2)}`;
      const found = await getLimited(where, MAX_ENVELOPE_BYTES, signal).catch(() => undefined);
      if (found !== undefined && hexOf(noble.sha256(found)) === digest) return openEnvelope(found, noble);
    }
    return undefined;
  });
}
