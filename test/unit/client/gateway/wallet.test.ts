import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { handleFrom } from '../../../../client/gateway/handle-text.ts';
import { walletOf } from '../../../../client/gateway/wallet.ts';
import { bytesOf } from '../../../../gateway/adapter/chain-data.ts';
import { isSignedBy } from '../../../../shared/gateway/signature.ts';

const secret = new Uint8Array(32).fill(0x2b);

describe('wallet', () => {
  test('signs digests as its address, and shows its key nowhere', async () => {
    const wallet = walletOf(secret);
    const digest = new Uint8Array(32).fill(7);
    expect(isSignedBy(bytesOf(wallet.address), digest, await wallet.signDigest(digest))).toBe(true);
    for (const text of [JSON.stringify(wallet), inspect(wallet, { showHidden: true, depth: 5 })]) {
      expect(text).not.toMatch(/(?:2b|43,?\s*){8}/);
    }
  });

  test('its key is its own: whoever gave it may erase his copy', async () => {
    const given = secret.slice();
    const wallet = walletOf(given);
    given.fill(0);
    const digest = new Uint8Array(32).fill(8);
    expect(isSignedBy(bytesOf(wallet.address), digest, await wallet.signDigest(digest))).toBe(true);
  });

  test.each([
    ['short', new Uint8Array(31).fill(0x2b)],
    ['zero', new Uint8Array(32)],
    ['above the group order', new Uint8Array(32).fill(0xff)],
  ])('refuses a key that is %s, without saying it', (_, bad) => {
    let thrown: unknown;
    try {
      walletOf(bad);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'BAD_INPUT' });
    expect(thrown).not.toHaveProperty('cause');
  });
});

describe('handle as text', () => {
  const good = `0x${'Ab'.repeat(24)}000000007a6a0101`;

  test('handleFrom: in either case; other texts are none', () => {
    expect(handleFrom(good)).toBe(good.toLowerCase());
    for (const text of ['a.ct', good.slice(2), `${good}0`, good.slice(0, -1), `0x${'g'.repeat(64)}`]) {
      expect(handleFrom(text)).toBeUndefined();
    }
  });

  test.each([
    ['version', `${good.slice(0, -2)}02`],
    ['kind', `${good.slice(0, -4)}0301`],
    ['chain', `0x${'ab'.repeat(24)}0000000000000101`],
  ])('handleFrom: 32 bytes with a wrong %s are refused', (_, text) => {
    expect(() => handleFrom(text)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
  });
});
