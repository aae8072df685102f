import { KmsError } from '../../shared/errors.ts';

const TIMEOUT_MS = 20_000;

/** Uploads bytes. @throws {KmsError} UNAVAILABLE, TIMEOUT; BUSY where the server cannot now; BAD_INPUT where it refuses them */
export async function put(url: string, body: Uint8Array): Promise<void> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let status: number;
  try {
    const response = await fetch(url, { method: 'PUT', body: body.slice(), redirect: 'error', signal });
    await response.body?.cancel();
    status = response.status;
  } catch (cause) {
    if (signal.aborted) throw new KmsError('TIMEOUT', `${url} did not answer in time`, { cause });
    throw new KmsError('UNAVAILABLE', `${url} does not answer`, { cause });
  }
  if (status >= 500) throw new KmsError('BUSY', `${url} answers ${status}`);
  if (status >= 300) throw new KmsError('BAD_INPUT', `${url} answers ${status}`);
}
