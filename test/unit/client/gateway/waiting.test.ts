import { describe, expect, test } from 'vitest';
import { waitFor } from '../../../../client/gateway/waiting.ts';
import { KmsError } from '../../../../shared/errors.ts';

const awaited = { what: 'the moon rises', look: 'is it there?' };
const waiting = (timeoutMs: number) => ({ timeoutMs, pollMs: 5, onProgress: () => {} });

describe('waiting', () => {
  test('waitFor: asks until there is an answer, also after what passes', async () => {
    const answers: (() => number | undefined)[] = [
      () => undefined,
      () => {
        throw new KmsError('UNAVAILABLE', 'down');
      },
      () => 7,
    ];
    expect(await waitFor(waiting(10_000), awaited, async () => answers.shift()?.())).toBe(7);
  });

  test('waitFor: what does not pass ends it', async () => {
    const question = async (): Promise<undefined> => {
      throw new KmsError('NOT_PERMITTED', 'no');
    };
    await expect(waitFor(waiting(10_000), awaited, question)).rejects.toMatchObject({
      code: 'NOT_PERMITTED',
    });
  });

  test.each<[string, () => Promise<undefined>]>([
    ['there is none', async () => undefined],
    ['the question hangs', () => new Promise(() => {})],
    [
      'all is down',
      async () => {
        throw new KmsError('UNAVAILABLE', 'the moon is down');
      },
    ],
  ])('waitFor: %s, and the error says what was waited for and what to look at', async (name, question) => {
    const waited = waitFor(waiting(50), awaited, question);
    await expect(waited).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(waited).rejects.toThrow(/the moon rises.*is it there\?/);
    if (name === 'all is down') await expect(waited).rejects.toThrow('the moon is down');
  });
});
