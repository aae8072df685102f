import { httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import { KmsError } from '../../../shared/errors.ts';

/** A chain that has run for days says all that it holds in one answer. */
const MAX_ANSWER_BYTES = 1 << 30;
const TIMEOUT_MS = 20_000;

/** One question to a chain of this machine. @throws {KmsError} UNAVAILABLE, TIMEOUT, BAD_ENCODING */
export async function askChain(
  url: string,
  method: string,
  params: readonly unknown[] = [],
  timeoutMs = TIMEOUT_MS,
): Promise<unknown> {
  const answer = await httpEndpoint({ url, timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES }).ask(method, params);
  if ('refusal' in answer) throw new KmsError('UNAVAILABLE', `the chain refuses ${method}`);
  return answer.result;
}
