import { KmsError } from '../../shared/errors.ts';

const TIMEOUT_MS = 20_000;

/** Uploads bytes. @throws {KmsError} UNAVAILABLE, TIMEOUT; BUSY where the server says so; BAD_INPUT where it refuses them */
export async function put(url: string, body: Uint8Array, timeoutMs = TIMEOUT_MS): Promise<void> {
  await exchange(url, { method: 'PUT', body: body.slice() }, timeoutMs, async (response) => {
    await response.body?.cancel();
    if (response.ok) return;
    throw new KmsError(response.status < 500 ? 'BAD_INPUT' : 'BUSY', `${url} answers ${response.status}`);
  });
}

/**
 * A body; nothing above the limit is ever held in memory.
 * @returns undefined for 404
 * @throws {KmsError} UNAVAILABLE, TIMEOUT, TOO_LARGE
 */
export function get(url: string, maxBytes: number, timeoutMs = TIMEOUT_MS): Promise<Uint8Array | undefined> {
  return exchange(url, {}, timeoutMs, async (response) => {
    if (response.ok) return limited(url, response, maxBytes);
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new KmsError('UNAVAILABLE', `${url} answers ${response.status}`);
  });
}

async function exchange<T>(
  url: string,
  request: RequestInit,
  timeoutMs: number,
  readIt: (response: Response) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await readIt(await fetch(url, { ...request, redirect: 'error', signal }));
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    if (signal.aborted) throw new KmsError('TIMEOUT', `${url} did not answer in time`, { cause });
    throw new KmsError('UNAVAILABLE', `${url} does not answer`, { cause });
  }
}

async function limited(url: string, { body }: Response, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    // Leaving the loop cancels the rest.
    if (size > maxBytes) throw new KmsError('TOO_LARGE', `${url} gives more than ${maxBytes} bytes`);
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
