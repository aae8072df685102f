import { KmsError } from '../../shared/errors.ts';

const TIMEOUT_MS = 20_000;

/**
 * A body over HTTP; nothing above the limit is ever held in memory.
 * @returns undefined for 404
 * @throws {KmsError} UNAVAILABLE, TIMEOUT, TOO_LARGE
 */
export async function getLimited(
  url: string,
  maxBytes: number,
  signal: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<Uint8Array | undefined> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.any([signal, limit]) });
    if (!response.ok) {
      await response.body?.cancel();
      if (response.status === 404) return undefined;
      throw new KmsError('UNAVAILABLE', `the store answers ${response.status}`);
    }
    return await limited(response, maxBytes);
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    if (limit.aborted) throw new KmsError('TIMEOUT', 'the store did not answer in time', { cause });
    throw new KmsError('UNAVAILABLE', 'the store does not answer', { cause });
  }
}

async function limited({ body, headers }: Response, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = new KmsError('TOO_LARGE', `at most ${maxBytes} bytes`);
  if (Number(headers.get('content-length') ?? 0) > maxBytes) {
    await body?.cancel();
    throw tooLarge;
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    // Leaving the loop cancels the rest.
    if (size > maxBytes) throw tooLarge;
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
