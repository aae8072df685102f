import { encodeErrorResult } from 'viem';
import { formatAbiItem } from 'viem/utils';
import { describe, expect, test } from 'vitest';
import { contractErrors, refused } from '../../../../client/gateway/reverts.ts';
import { contracts } from '../../../../infra/build/contracts.ts';

const refusal = (revertData: `0x${string}` | undefined, message = 'execution reverted') => ({
  ...{ code: 3, message, revertData },
});

describe('reverts', () => {
  test('every error is one that some contract has, with the same fields', () => {
    const compiled = contracts()
      .flatMap(({ abi }) => abi)
      .flatMap((item) => (item.type === 'error' ? [formatAbiItem(item)] : []));
    for (const item of contractErrors) expect(compiled).toContain(formatAbiItem(item));
  });

  test('refused: says what was to be done, why not, and the name of the error', () => {
    const args = [`0x${'11'.repeat(32)}`, `0x${'22'.repeat(20)}`] as const;
    const data = encodeErrorResult({ abi: contractErrors, errorName: 'NotAllowed', args });
    const error = refused('decrypt it', refusal(data));
    expect(error).toMatchObject({ code: 'NOT_PERMITTED' });
    expect(error.message).toMatch(/^cannot decrypt it: the account may not use the handle.*\(NotAllowed\)$/);
    const noisy = encodeErrorResult({ abi: contractErrors, errorName: 'TooNoisy', args: [2n, 1n] });
    expect(refused('compute', refusal(noisy)).code).toBe('TOO_NOISY');
  });

  test('refused: an error that nobody knows is named by its selector, and an endpoint says nothing to the terminal', () => {
    expect(refused('do it', refusal('0x12345678ff')).message).toContain('0x12345678');
    expect(refused('do it', refusal('0x12')).code).toBe('BAD_INPUT');
    const { message } = refused('do it', refusal(undefined, 'insufficient funds\u001b[2J'));
    expect(message).toContain('insufficient funds [2J');
  });
});
