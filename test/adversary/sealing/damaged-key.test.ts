import { afterEach, describe, expect, it } from 'vitest';

import { allIn, eventually, type LiveNode, LiveNodes, phaseOf } from '../membership/live-nodes.ts';

let live: LiveNodes | undefined;
const others: LiveNode[] = [];

afterEach(async () => {
  await live?.closeAll(others.splice(0));
  live = undefined;
});

async function generateEverywhere(nodes: readonly LiveNode[]): Promise<void> {
  const requestId = new Uint8Array(32).fill(9);
  const { signal } = new AbortController();
  await Promise.all(nodes.map(({ direct }) => direct.generateKey(requestId, 'test-4096', signal)));
}

describe('a bucket that has damaged what a node knows of a key', () => {
  it.each(['lost', 'altered'])(
    'key record: %s: the node recovers only, and says why; the others work',
    async (how) => {
      live = await LiveNodes.start();
      await allIn('ready', live.all);
      await generateEverywhere(live.all);
      const [first, ...rest] = live.all;
      await live.close(first!);
      const { objects } = first!.cloud.objects;
      const keys = [...objects.keys()].filter((key) => key.startsWith('tier-2/objects/'));
      expect(keys.length).toBeGreaterThan(0);
      for (const key of keys) {
        if (how === 'lost') objects.delete(key);
        else objects.get(key)![40]! ^= 1;
      }
      const again = await live.open(1, first!.cloud);
      others.push(again);
      await live.join(again);
      await eventually(async () => (await phaseOf(again)) === 'recover');
      const { reason } = await again.node.describe();
      expect(reason).toContain(how === 'lost' ? 'lost record keys/' : 'changed record keys/');
      await expect(again.node.listKeys()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await allIn('ready', rest);
    },
    120_000,
  );
});
