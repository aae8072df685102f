import { afterEach, beforeEach, expect, test } from 'vitest';
import { Chain } from '../../../../gateway/adapter/chain.ts';
import type { Endpoint } from '../../../../gateway/adapter/endpoint.ts';
import type { Heads } from '../../../../gateway/adapter/heads.ts';
import { Head } from '../../../../parent/connector/head.ts';
import { KmsError } from '../../../../shared/errors.ts';

/** Longer than any test. */
const NEVER_MS = 600_000;

let ending: AbortController;
let seen: number[];
let newest: number;

beforeEach(() => {
  [ending, seen, newest] = [new AbortController(), [], 1];
});

afterEach(() => ending.abort());

/** Tells when the test does, and nobody by itself. */
class PlayedHeads implements Heads {
  count = 0;
  #wake: (() => void) | undefined;

  changed(since: number): Promise<void> {
    return since === this.count ? new Promise((resolve) => (this.#wake = resolve)) : Promise.resolve();
  }

  tell(): void {
    this.count++;
    this.#wake?.();
  }
}

/** @param before what happens after a question is answered and before the answer arrives */
function follow(heads: Heads, pollMs: number, before: () => void = () => undefined): void {
  const endpoint: Endpoint = {
    async ask() {
      const word = `0x${'00'.repeat(32)}`;
      const of = { hash: word, parentHash: word, timestamp: '0x0', logsBloom: `0x${'00'.repeat(256)}` };
      const answer = { result: { number: `0x${newest.toString(16)}`, ...of } };
      before();
      return answer;
    },
  };
  const head = new Head(new Chain(5n, endpoint), pollMs, heads);
  void head.run(ending.signal, ({ number }) => void seen.push(Number(number)));
}

const expectSeen = (blocks: readonly number[]): Promise<void> =>
  expect.poll(() => seen, { timeout: 10_000, interval: 5 }).toEqual(blocks);

test('head: a notice is looked after, and without one nothing is asked', async () => {
  const heads = new PlayedHeads();
  follow(heads, 1);
  await expectSeen([1]);
  newest = 2;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(seen).toEqual([1]);
  heads.tell();
  await expectSeen([1, 2]);
});

test('head: a block that is announced before the older answer arrives is not missed', async () => {
  const heads = new PlayedHeads();
  follow(heads, NEVER_MS, () => {
    if (newest < 3) {
      newest++;
      heads.tell();
    }
  });
  await expectSeen([1, 2, 3]);
});

test('head: an answer that fails is asked for again without a notice', async () => {
  let failures = 0;
  follow(new PlayedHeads(), 5, () => {
    if (failures++ < 3) throw new KmsError('UNAVAILABLE', 'played');
  });
  await expectSeen([1]);
});
