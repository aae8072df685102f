import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { KmsError } from '../shared/errors.ts';
import type { Link } from '../shared/link.ts';
import {
  credentialsCodec,
  type Introduction,
  introductionCodec,
  MAX_ANSWER_BYTES,
  type ParentService,
} from '../shared/parent-service.ts';
import { concat, utf8 } from '../shared/wire/bytes.ts';
import { type Codec, decode } from '../shared/wire/codec.ts';
import type { AwsCredentials } from './aws/credentials.ts';

const TIMEOUT_MS = 5_000;
const LENGTH_BYTES = 4;

/** @throws {KmsError} UNAVAILABLE without an answer; BAD_ENCODING, TOO_LARGE for one that is none */
export function askIntroduction(link: Link<Duplex>): Promise<Introduction> {
  return ask(link, 'introduction', introductionCodec);
}

/** @throws {KmsError} UNAVAILABLE, BAD_ENCODING, TOO_LARGE */
export async function askCredentials(link: Link<Duplex>): Promise<AwsCredentials> {
  const lent = await ask(link, 'credentials', credentialsCodec);
  const { accessKeyId, secretAccessKey, sessionToken, expiresMs } = lent;
  return {
    ...{ accessKeyId, secretAccessKey },
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiresMs === undefined ? {} : { expiresMs: Number(expiresMs) }),
  };
}

async function ask<T>(link: Link<Duplex>, service: ParentService, codec: Codec<T>): Promise<T> {
  const stream = await link.connect('egress');
  stream.on('error', () => stream.destroy());
  const timer = setTimeout(() => stream.destroy(), TIMEOUT_MS).unref();
  try {
    stream.write(utf8(`${service}\n`));
    return decode(codec, await answerOn(stream));
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}

async function answerOn(stream: Duplex): Promise<Uint8Array> {
  const ended = once(stream, 'close').then(() => 'closed' as const);
  let received: Uint8Array = new Uint8Array(0);
  for (;;) {
    const chunk: unknown = stream.read();
    if (chunk instanceof Uint8Array) {
      received = concat(received, chunk);
      const length = lengthOf(received);
      if (length !== undefined && received.length >= LENGTH_BYTES + length) {
        return received.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      }
      continue;
    }
    const outcome = await Promise.race([ended, once(stream, 'readable').then(() => 'readable' as const)]);
    if (outcome === 'closed') throw new KmsError('UNAVAILABLE', 'the parent did not answer');
  }
}

function lengthOf(received: Uint8Array): number | undefined {
  if (received.length < LENGTH_BYTES) return undefined;
  const length = new DataView(received.buffer, received.byteOffset).getUint32(0, true);
  if (length > MAX_ANSWER_BYTES) throw new KmsError('TOO_LARGE', 'the answer of the parent is too large');
  return length;
}
