import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, test } from 'vitest';
import { toFault } from '../../../../enclave/net/fault.ts';
import { enclaveFault } from '../../../../parent/connector/enclave-fault.ts';
import { Settled } from '../../../../parent/connector/settled.ts';
import { MAX_REFUSALS, Refusals, verdictOn } from '../../../../parent/connector/verdict.ts';
import { type ErrorCode, KmsError } from '../../../../shared/errors.ts';

describe('verdicts', () => {
  test.each<[ErrorCode, string]>([
    ['REQUEST_OVER', 'over'],
    ['STALE_HEAD', 'stale'],
    ['NOT_PROVEN', 'refused'],
    ['NOT_PERMITTED', 'refused'],
    ['WRONG_KEY', 'refused'],
    ['TOO_NOISY', 'refused'],
    ['NOT_ENOUGH_PARTIES', 'passing'],
    ['UNKNOWN_KEY', 'passing'],
    ['WRONG_EPOCH', 'passing'],
    ['BUSY', 'passing'],
    ['UNAVAILABLE', 'passing'],
  ])('verdict: %s is %s', (code, verdict) => {
    expect(verdictOn(code)).toBe(verdict);
    // As the enclave says it over the wire.
    expect(enclaveFault(toFault(new KmsError(code, 'inside'))).code).toBe(code);
  });

  test('verdict: what the enclave did not say itself is the connection, and passes', () => {
    expect(enclaveFault(new ConnectError('gone', Code.Unavailable)).code).toBe('UNAVAILABLE');
    expect(enclaveFault(new ConnectError('slow', Code.DeadlineExceeded)).code).toBe('TIMEOUT');
    expect(verdictOn(enclaveFault(new Error('socket hang up')).code)).toBe('passing');
    expect(enclaveFault(new KmsError('TIMEOUT', 'x')).code).toBe('TIMEOUT');
  });
});

describe('refusals', () => {
  const at = (gateway: bigint, host: bigint) =>
    new Map([
      [1n, gateway],
      [2n, host],
    ]);

  test('refusals: asked again only where every chain has a newer block', () => {
    const refusals = new Refusals();
    expect(refusals.mayTry('a', at(5n, 5n))).toBe(true);
    expect(refusals.refused('a', at(5n, 5n))).toBe(false);
    for (const same of [at(5n, 5n), at(6n, 5n), at(5n, 6n)]) expect(refusals.mayTry('a', same)).toBe(false);
    expect(refusals.mayTry('a', at(6n, 6n))).toBe(true);
    expect(refusals.mayTry('b', at(5n, 5n))).toBe(true);
  });

  test('refusals: so many are enough, and one answer forgets them', () => {
    const refusals = new Refusals();
    const all = Array.from({ length: MAX_REFUSALS }, (_, i) =>
      refusals.refused('a', at(BigInt(i), BigInt(i))),
    );
    expect(all.indexOf(true)).toBe(MAX_REFUSALS - 1);
    refusals.forget('a');
    expect(refusals.mayTry('a', at(0n, 0n))).toBe(true);
    expect(refusals.refused('a', at(0n, 0n))).toBe(false);
  });
});

describe('settled', () => {
  test('settled: only when the block where it was first seen counts; seen anew after it was undone', async () => {
    let counts = 10n;
    const settled = new Settled(async () => counts);
    expect(await settled.isSettled('a', 12n)).toBe(false);
    counts = 11n;
    expect(await settled.isSettled('a', 13n)).toBe(false);
    settled.forget('a');
    counts = 12n;
    expect(await settled.isSettled('a', 15n)).toBe(false);
    counts = 15n;
    expect(await settled.isSettled('a', 17n)).toBe(true);
  });
});
