import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from './memory-disk.ts';
import { BUCKET, Session, type Step } from './session.ts';

const key = fc.constantFrom('a', 'b');
const body = fc.string({ minLength: 1, maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put'), key, body }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete'), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteVersion'), key, nth: fc.nat(2) }) },
  fc.record({ do: fc.constant('versioning'), status: fc.constantFrom('Enabled', 'Suspended') }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('upload'), key }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('part'), key, number: fc.integer({ min: 1, max: 2 }), body }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('complete'), key }) },
  fc.record({ do: fc.constant('abort'), key }),
);

/** What there is after each step if nothing fails; and how many effects that takes. */
async function undisturbed(steps: readonly Step[]): Promise<{ states: readonly unknown[]; effects: number }> {
  const disk = new MemoryDisk();
  const session = await Session.open(disk);
  const begun = disk.effects;
  const states = [await session.state()];
  for (const one of steps) {
    await session.perform(one);
    states.push(await session.state());
  }
  return { states, effects: disk.effects - begun };
}

/** Dies at that effect, comes back, and says whether each acknowledged step is there and the last is whole or absent. */
async function survives(
  steps: readonly Step[],
  states: readonly unknown[],
  effects: number,
  disk: MemoryDisk,
  comeBack: (disk: MemoryDisk) => void | Promise<void>,
): Promise<boolean> {
  const session = await Session.open(disk);
  disk.dieAfter(effects);
  let done = 0;
  try {
    for (const one of steps) {
      await session.perform(one);
      done += 1;
    }
  } catch {
    // It has died.
  }
  await comeBack(disk);
  const after = await Session.open(disk);
  const state = JSON.stringify(await after.state());
  const possible = [states[done], states[done + 1]].map((one) => JSON.stringify(one));
  if (!possible.includes(state)) return false;
  // Nothing but what counts is left, and it can go on.
  if (disk.paths().filter((path) => path.includes(BUCKET)).length !== after.files) return false;
  await after.perform({ do: 'put', key: 'next', body: 'next' });
  return true;
}

describe('s3 stand-in: crashes', () => {
  let points = 0;

  it('s3 stand-in: a kill between any two effects leaves each write done or undone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        const { states, effects } = await undisturbed(steps);
        for (let at = 0; at < effects; at++, points++) {
          const good = await survives(steps, states, at, new MemoryDisk(), (disk) => disk.restart());
          expect(good, `killed at effect ${at}`).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
    expect(points).toBeGreaterThan(1000);
  });

  it('s3 stand-in: a power cut between any two effects does too', async () => {
    const fates = fc.infiniteStream(fc.nat());
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), fates, async (steps, fate) => {
        const { states, effects } = await undisturbed(steps);
        for (let at = 0; at < effects; at++, points++) {
          const good = await survives(steps, states, at, new MemoryDisk(), (disk) =>
            disk.powerCut((max) => (fate.next().value ?? 0) % (max + 1)),
          );
          expect(good, `power cut at effect ${at}`).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
    expect(points).toBeGreaterThan(2200);
  });

  it('s3 stand-in: a crash while it starts, for the first time or after a crash, is no obstacle', async () => {
    const steps: readonly Step[] = [
      { do: 'put', key: 'a', body: '1' },
      { do: 'upload', key: 'b' },
      { do: 'part', key: 'b', number: 1, body: '2' },
      { do: 'put', key: 'a', body: '3' },
      { do: 'complete', key: 'b' },
    ];
    const { states, effects } = await undisturbed(steps);
    for (let at = 0; at <= effects; at++) {
      for (let again = 0; again < 6; again++) {
        const disk = new MemoryDisk();
        disk.dieAfter(again);
        await Session.open(disk).catch(() => {});
        disk.powerCut((max) => (at + again) % (max + 1));
        const good = await survives(steps, states, at, disk, async () => {
          disk.restart();
          disk.dieAfter(again);
          await Session.open(disk).catch(() => {});
          disk.powerCut((max) => (at * again) % (max + 1));
        });
        expect(good, `effects ${at}, then ${again}`).toBe(true);
      }
    }
  });

  it('s3 stand-in: without the syncs of directories a power cut loses acknowledged writes', async () => {
    const steps: readonly Step[] = [
      { do: 'put', key: 'a', body: '1' },
      { do: 'put', key: 'a', body: '2' },
    ];
    const { states, effects } = await undisturbed(steps);
    const outcomes = [];
    for (let at = 0; at <= effects; at++) {
      outcomes.push(
        await survives(steps, states, at, new MemoryDisk(false), (disk) => disk.powerCut(() => 0)).catch(
          () => false,
        ),
      );
    }
    expect(outcomes).toContain(false);
  });
});
