import { describe, expect, it } from 'vitest';
import { GatewayBlock } from '../../../../client/gateway/gateway-block.ts';
import { KmsError } from '../../../../shared/errors.ts';

const place = { chainId: 31337n, url: 'http://chain.example' };
const hash = `0x${'11'.repeat(32)}`;

/** A chain that only says how far it is. */
class Tip {
  latest = 100;
  finalized = 90;
  chainId = '0x7a69';
  isDown = false;
  nowMs = 0;

  readonly endpointOf = () => ({
    ask: async (method: string, params: readonly unknown[] = []) => {
      if (this.isDown) throw new KmsError('UNAVAILABLE', 'down');
      if (method === 'eth_chainId') return { result: this.chainId };
      const number = params[0] === 'finalized' ? this.finalized : this.latest;
      const named = { number: `0x${number.toString(16)}`, hash, parentHash: hash, timestamp: '0x1' };
      return { result: { ...named, logsBloom: `0x${'00'.repeat(256)}`, baseFeePerGas: '0x1' } };
    },
  });

  open(finality: Parameters<typeof GatewayBlock.open>[1]): Promise<GatewayBlock> {
    return GatewayBlock.open(place, finality, this.endpointOf, () => this.nowMs);
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('gateway block', () => {
  it('gateway block: the newest one that counts by the rule of genesis', async () => {
    const tip = new Tip();
    expect((await tip.open({ kind: 'finalized' })).now()).toBe(90);
    expect((await tip.open({ kind: 'depth', blocks: 1 })).now()).toBe(100);
    expect((await tip.open({ kind: 'depth', blocks: 12 })).now()).toBe(89);
  });

  it('gateway block: is asked for again after a while, and never goes back', async () => {
    const tip = new Tip();
    const block = await tip.open({ kind: 'finalized' });
    tip.finalized = 95;
    expect([block.now(), await settled(), block.now()]).toEqual([90, undefined, 90]);
    tip.nowMs = 10_000;
    expect([block.now(), await settled(), block.now()]).toEqual([90, undefined, 95]);
    [tip.nowMs, tip.finalized] = [20_000, 50];
    expect([block.now(), await settled(), block.now()]).toEqual([95, undefined, 95]);
    [tip.nowMs, tip.isDown] = [30_000, true];
    expect([block.now(), await settled(), block.now()]).toEqual([95, undefined, 95]);
  });

  it('gateway block: another chain’s endpoint, and one that does not answer, are told at once', async () => {
    const tip = new Tip();
    tip.chainId = '0x1';
    await expect(tip.open({ kind: 'finalized' })).rejects.toMatchObject({ code: 'BAD_INPUT' });
    tip.isDown = true;
    await expect(tip.open({ kind: 'finalized' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
