import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ANCHOR_GRACE_MS, AnchorWatch } from '../../../enclave/sealing/anchor-watch.ts';
import { Course } from '../../../enclave/sealing/course.ts';
import { NO_STATE, type StateVersion } from '../../../enclave/store/versioned-store.ts';
import { KmsError } from '../../../shared/errors.ts';
import { digest } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import type { AnchoredState } from '../../../shared/sealing/anchor.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';

const MINUTE_MS = 60_000;
const FOUNDED_MS = Date.UTC(2030, 0, 1);

/** A version of the state in a bucket: what it is called, and the record that it holds. */
interface Version {
  readonly state: StateVersion;
  readonly store: MemoryStore;
}

let anchored: StateVersion | undefined;
let isEarly: boolean;
let isDown: boolean;
let lost: KmsError[];
let lives: Life[];
let digests: number;

beforeEach(() => {
  vi.useFakeTimers({ now: FOUNDED_MS });
  [anchored, isEarly, isDown, lost, lives, digests] = [undefined, false, false, [], [], 0];
});

afterEach(() => {
  for (const life of lives) life.end();
  vi.useRealTimers();
});

const newest = async (): Promise<AnchoredState> => {
  if (isDown) throw new KmsError('UNAVAILABLE', 'the chain is down');
  const now = anchored;
  return { version: now?.version ?? 0, is: (one) => one === now?.digest, isEarly };
};

const passed = (minutes: number): Promise<unknown> => vi.advanceTimersByTimeAsync(minutes * MINUTE_MS);

/** A process of a node, as far as its course goes. */
class Life {
  readonly #course: Course;
  readonly #watch: AnchorWatch;
  #version: Version;

  private constructor(course: Course, version: Version) {
    [this.#course, this.#version] = [course, version];
    this.#watch = new AnchorWatch({
      ...{ anchor: { newest }, course, nowMs: Date.now, log: silent, onChange: () => {} },
      onOld: (error) => lost.push(error),
    });
  }

  /** From what is in its bucket, which takes effect. */
  static async of(version: Version): Promise<Life> {
    const life = new Life(await Course.of(version.state, version.store), version);
    lives.push(life);
    life.#course.tookEffect(version.state, Date.now());
    life.#watch.start();
    await passed(0);
    return life;
  }

  /** A new node whose epoch is not active yet, anchored as soon as it is. */
  static async begin(): Promise<Life> {
    isEarly = true;
    const life = await Life.of({ state: NO_STATE, store: new MemoryStore() });
    isEarly = false;
    anchored = await life.change();
    return life;
  }

  get version(): Version {
    return this.#version;
  }

  get works(): boolean {
    return this.#watch.isSettled;
  }

  /** What unsealing says. */
  async verdict(): Promise<string> {
    return this.#course.against(await newest(), Date.now());
  }

  /** The next version, in effect. */
  async change(): Promise<StateVersion> {
    const store = new MemoryStore(this.#version.store.records);
    await store.change(this.#course.record(this.#version.state.version + 1, Date.now()));
    digests += 1;
    const state = {
      version: this.#version.state.version + 1,
      digest: digest(digests.toString(16).padStart(64, '0')),
    };
    this.#version = { state, store };
    this.#course.tookEffect(state, Date.now());
    return state;
  }

  end(): void {
    this.#watch.close();
  }

  async again(version: Version = this.#version): Promise<Life> {
    this.end();
    return Life.of(version);
  }
}

describe('anchor watch', () => {
  it('anchor watch: before the epoch is active there is nothing to anchor, however long that takes', async () => {
    isEarly = true;
    const life = await Life.of({ state: NO_STATE, store: new MemoryStore() });
    await life.change();
    await passed(10_000);
    expect(life.works).toBe(true);
    isEarly = false;
    await passed(59);
    expect(life.works).toBe(true);
    await passed(2);
    expect(life.works).toBe(false);
    anchored = life.version.state;
    await passed(1);
    expect([life.works, lost]).toEqual([true, []]);
  });

  it('anchor watch: without its record a node counts as never anchored', async () => {
    const { state } = (await Life.begin()).version;
    anchored = undefined;
    const life = await Life.of({ state, store: new MemoryStore() });
    expect(life.works).toBe(false);
    anchored = state;
    await passed(1);
    expect(life.works).toBe(true);
  });

  it('anchor watch: an anchored node works for ever, one with a newer state for an hour', async () => {
    const life = await Life.begin();
    await passed(3_000);
    expect(life.works).toBe(true);
    const second = await life.change();
    await passed(59);
    expect(life.works).toBe(true);
    anchored = second;
    await passed(1);
    await life.change();
    await passed(59);
    expect(life.works).toBe(true);
    // A later state gives no more time.
    await life.change();
    await passed(2);
    expect([life.works, lost]).toEqual([false, []]);
    expect(ANCHOR_GRACE_MS).toBe(60 * MINUTE_MS);
  });

  it('anchor watch: a node that changes all the time is held against the states that it had', async () => {
    const life = await Life.begin();
    const had: StateVersion[] = [];
    for (let i = 0; i < 100; i++) {
      had.push(await life.change());
      await passed(2);
      if (i > 10) anchored = had[i - 3];
    }
    expect([life.works, lost]).toEqual([true, []]);
    // From now on nothing that it does is anchored.
    for (let i = 0; i < 40; i++) {
      await life.change();
      await passed(2);
    }
    expect(life.works).toBe(false);
  });

  it('anchor watch: a chain that is down is no reason for an hour', async () => {
    const life = await Life.begin();
    await passed(100);
    isDown = true;
    await passed(59);
    expect(life.works).toBe(true);
    await passed(3);
    expect(life.works).toBe(false);
    isDown = false;
    await passed(1);
    expect([life.works, lost]).toEqual([true, []]);
  });

  it('anchor watch: a restart gives no more time', async () => {
    let life = await Life.begin();
    await passed(100);
    await life.change();
    for (let i = 0; i < 5; i++) {
      await passed(11);
      life = await life.again();
    }
    expect(life.works).toBe(true);
    await passed(6);
    life = await life.again();
    expect([life.works, await life.verdict()]).toEqual([false, 'ahead']);
    anchored = life.version.state;
    await passed(1);
    expect(life.works).toBe(true);
  });

  it('anchor watch: what a life adds while its anchors are withheld gives the next one no time', async () => {
    let life = await Life.begin();
    await passed(100);
    await life.change();
    await passed(50);
    // A chain that is away now, so that only what the state says counts.
    isDown = true;
    await life.change();
    life = await life.again();
    expect(life.works).toBe(true);
    await passed(11);
    expect(life.works).toBe(false);
  });

  it('anchor watch: to turn the state back to its anchor and forward again gives no more time', async () => {
    let life = await Life.begin();
    const anchoredVersion = life.version;
    await life.change();
    const later = life.version;
    await passed(55);
    expect(life.works).toBe(true);
    life = await life.again(anchoredVersion);
    await passed(1);
    expect(life.works).toBe(true);
    life = await life.again(later);
    await passed(10);
    expect([life.works, lost]).toEqual([false, []]);
  });

  it('anchor watch: another course from the anchored state has its hour, and no more', async () => {
    let life = await Life.begin();
    const anchoredVersion = life.version;
    await life.change();
    await passed(300);
    expect(life.works).toBe(false);
    life = await life.again(anchoredVersion);
    await passed(1);
    expect(life.works).toBe(true);
    await life.change();
    await passed(61);
    expect([life.works, lost]).toEqual([false, []]);
  });

  it('anchor watch: of two courses the one that is not anchored ends at once', async () => {
    const life = await Life.begin();
    const common = life.version;
    for (let i = 0; i < 3; i++) await life.change();
    const other = await Life.of(common);
    for (let i = 0; i < 2; i++) await other.change();
    anchored = other.version.state;
    await passed(1);
    expect(lost.map(({ code }) => code)).toEqual(['STORE_FAILED']);
    expect([await life.verdict(), await other.verdict()]).toEqual(['old', 'settled']);
    // It asks no more, and says so once.
    await passed(10);
    expect(lost).toHaveLength(1);
  });

  it('anchor watch: two courses that overtake each other are told apart after restarts', async () => {
    const life = await Life.begin();
    const common = life.version;
    const other = await Life.of(common);
    await other.change();
    other.end();
    for (let i = 0; i < 2; i++) await life.change();
    anchored = life.version.state;
    await passed(1);
    // While the first one is anchored, the other goes beyond it without looking, and starts again.
    for (let i = 0; i < 3; i++) await other.change();
    expect(await (await other.again()).verdict()).toBe('old');
    expect(await (await life.again()).verdict()).toBe('settled');
  });

  it('anchor watch: a course that is anchored further than this node has come ends it', async () => {
    const life = await Life.begin();
    const early = life.version;
    for (let i = 0; i < 2; i++) anchored = await life.change();
    const turnedBack = await life.again(early);
    expect(lost).toHaveLength(1);
    expect(await turnedBack.verdict()).toBe('old');
  });

  it('anchor watch: with very many states that are not anchored a node waits, and goes on from the newest', async () => {
    let life = await Life.begin();
    for (let i = 0; i < 766; i++) await life.change();
    expect(life.works).toBe(true);
    await life.change();
    expect(life.works).toBe(false);
    life = await life.again();
    expect([life.works, await life.verdict()]).toEqual([false, 'ahead']);
    anchored = life.version.state;
    await passed(1);
    expect([life.works, await life.verdict()]).toEqual([true, 'settled']);
  });

  it('anchor watch: while nothing can be anchored no course grows', async () => {
    isEarly = true;
    const life = await Life.of({ state: NO_STATE, store: new MemoryStore() });
    for (let i = 0; i < 900; i++) {
      await life.change();
      await passed(1);
    }
    expect(life.works).toBe(true);
  });

  it('anchor watch: what went on in an image that keeps no course is no course', async () => {
    const life = await Life.begin();
    const common = life.version;
    for (let i = 0; i < 3; i++) anchored = await life.change();
    // Turned back, and on beyond what is anchored, by an image whose states carry the last record along or have none.
    for (const store of [common.store, new MemoryStore()]) {
      const state = { version: 9, digest: digest('ee'.repeat(32)) };
      expect(await (await Life.of({ state, store })).verdict()).toBe('old');
    }
    // An image before this one, with nothing anchored, or with the last state that is recorded.
    for (const known of [undefined, common.state]) {
      anchored = known;
      const upgraded = await Life.of({
        state: { version: 9, digest: digest('ee'.repeat(32)) },
        store: common.store,
      });
      expect(await upgraded.verdict()).toBe('ahead');
    }
  });

  it('anchor watch: a record of a later format is refused', async () => {
    const { state, store } = (await Life.begin()).version;
    const [name] = await store.list('');
    const record = (await store.get(name!))!;
    record[0] = 2;
    await store.put(name!, record);
    await expect(Life.of({ state, store })).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
