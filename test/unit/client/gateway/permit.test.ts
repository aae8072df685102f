import type { Abi } from 'viem';
import { describe, expect, test } from 'vitest';
import type { GatewayContext } from '../../../../client/gateway/context.ts';
import { forAbi, permitFor } from '../../../../client/gateway/permit.ts';
import { decryptionsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import type { Hex } from '../../../../gateway/adapter/chain-data.ts';
import { noble } from '../../../../shared/noble.ts';
import { ScriptedChain } from './scripted-chain.ts';

const DECRYPTIONS: Hex = `0x${'0f'.repeat(20)}`;
const [USER, APPLICATION]: readonly Hex[] = ['01', '02'].map((byte): Hex => `0x${byte.repeat(20)}`);
const publicKey = new Uint8Array(1216).fill(4);

function permit(skewS: bigint) {
  const chain = new ScriptedChain(7n);
  chain.timestamp += skewS;
  const views = { permitNonces: () => 6n };
  chain.contracts.set(DECRYPTIONS, { abi: decryptionsAbi as Abi, views });
  const decryptions = { chain: chain.chain, address: DECRYPTIONS, abi: decryptionsAbi };
  const context = {
    gateway: { chain: chain.chain, decryptions },
    waiting: { timeoutMs: 60_000, pollMs: 10, onProgress: () => {} },
  } as unknown as GatewayContext;
  return { now: chain.timestamp, made: permitFor(context, USER!, APPLICATION!, { publicKey }, 9n) };
}

describe('permit', () => {
  test('permitFor: for this key, application and chain, for minutes', async () => {
    const { now, made } = permit(0n);
    const signed = await made;
    expect(forAbi(signed)).toEqual({
      ...{ user: USER, context: APPLICATION, delegate: `0x${'00'.repeat(20)}`, hostChainId: 9n, nonce: 6n },
      publicKeyHash: `0x${Buffer.from(noble.sha256(publicKey)).toString('hex')}`,
      ...{ validFrom: now - 300n, validUntil: now + 360n },
    });
  });

  test.each([7200n, -7200n])('permitFor: nothing is signed for a time %d s from now', async (skewS) => {
    await expect(permit(skewS).made).rejects.toMatchObject({ code: 'STALE_HEAD' });
  });
});
