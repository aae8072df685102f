import { expect, test } from 'vitest';
import { WrongShares } from '../../../enclave/wrong-shares.ts';
import { partyId } from '../../../shared/ids.ts';

test('wrong shares: a member is named once, and again an hour later if it goes on', () => {
  let nowMs = 0;
  const said: unknown[] = [];
  const wrong = new WrongShares(
    (level, event, fields) => said.push([level, event, fields]),
    () => nowMs,
  );
  const [two, three] = [partyId(2), partyId(3)];
  wrong.seen([]);
  expect(said).toEqual([]);
  wrong.seen([two]);
  wrong.seen([two, three]);
  const named = [two, three].map((party) => ['warn', 'peer-wrong-share', { party }]);
  expect(said).toEqual(named);
  nowMs = 3_599_999;
  wrong.seen([two]);
  expect(said).toHaveLength(2);
  nowMs = 3_600_000;
  wrong.seen([two]);
  expect(said.slice(2)).toEqual([['warn', 'peer-wrong-share', { party: two }]]);
});
