import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StateStore } from '../../../enclave/sealing/state-store.ts';
import type { Changes } from '../../../enclave/store/sealed-store.ts';
import { codeOf } from '../../../shared/errors.ts';
import type { PartyId } from '../../../shared/ids.ts';
import { partyId } from '../../../shared/ids.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { seededRng } from '../../simulator/random.ts';
import { HOLDERS, Life, type OwnerProcess, SealedNetwork } from '../../simulator/sealed-network.ts';

type State = ReadonlyMap<string, string>;

/** What a node does, one after the other; changes of one step are asked for in one turn. */
type Step =
  | { readonly kind: 'changes'; readonly changes: readonly Changes[] }
  | { readonly kind: 'restart' }
  | { readonly kind: 'holder-restarts'; readonly party: PartyId }
  | { readonly kind: 'down' | 'up'; readonly party: PartyId };

const SMALL = 40;
const LARGE = 2_500;
const rng = seededRng('sealed crashes');
const [K1, K2, K3] = ['a1', 'b2', 'c3'].map((byte) => `keys/${byte.repeat(32)}`) as [string, string, string];
const put = (name: string, sizeBytes = SMALL): Changes => new Map([[name, rng(sizeBytes)]]);
const gone = (...names: readonly string[]): Changes => new Map(names.map((name) => [name, undefined]));
const both = (...all: readonly Changes[]): Changes => new Map(all.flatMap((one) => [...one]));
const changes = (...all: readonly Changes[]): Step => ({ kind: 'changes', changes: all });
const restart: Step = { kind: 'restart' };
const four = partyId(4);

const scenarios: Record<string, readonly Step[]> = {
  'keys come and go': [
    changes(put('node/a'), put('node/b', LARGE)),
    changes(put(`${K1}/seeds`, LARGE)),
    changes(put(`${K1}/state`), put(`${K1}/record`, LARGE), put('node/a')),
    changes(both(put(`${K2}/seeds`), put(`${K2}/archive`, LARGE))),
    changes(gone(`${K1}/seeds`)),
    restart,
    changes(gone(`${K1}/state`, `${K1}/record`)),
    changes(put('node/b')),
    changes(put(`${K1}/seeds`), gone(`${K2}/seeds`)),
    changes(gone(`${K2}/archive`), put('node/c', LARGE)),
    restart,
    changes(put(`${K1}/seeds`, LARGE)),
  ],
  'a holder is away': [
    { kind: 'down', party: four },
    changes(put(`${K1}/seeds`, LARGE)),
    changes(put('node/a'), put(`${K1}/state`)),
    { kind: 'up', party: four },
    changes(put(`${K2}/seeds`)),
    { kind: 'down', party: four },
    changes(gone(`${K1}/seeds`, `${K1}/state`)),
    changes(put(`${K3}/seeds`, LARGE)),
    restart,
    changes(put('node/a', LARGE)),
    { kind: 'holder-restarts', party: four },
    { kind: 'up', party: four },
    changes(put(`${K1}/again`)),
    changes(gone(`${K3}/seeds`)),
    changes(put('node/d')),
  ],
  'many at once': [
    changes(...[1, 2, 3, 4, 5].map((i) => put(`node/${i}`, i * 500))),
    changes(put(`${K1}/1`), put(`${K2}/1`, LARGE), put(`${K3}/1`)),
    changes(gone(`${K1}/1`), put(`${K2}/2`), gone(`${K3}/1`)),
    restart,
    changes(put(`${K1}/1`), gone(`${K2}/1`), gone(`${K2}/2`)),
    { kind: 'holder-restarts', party: partyId(2) },
    changes(put('node/1', LARGE), put('node/2', LARGE), gone('node/3')),
    restart,
    restart,
    changes(put(`${K2}/3`, LARGE)),
  ],
};

/** Five steps of any kind. */
function drawn(seed: number): readonly Step[] {
  const random = seededRng(`steps ${seed}`);
  const draw = (below: number): number => random(1)[0]! % below;
  const name = (): string => `${[K1, K2, K3, 'node'][draw(4)]}/${draw(3)}`;
  const change = (): Changes => (draw(3) === 0 ? gone(name()) : put(name(), draw(3) === 0 ? LARGE : SMALL));
  const step = (): Step => {
    const kind = draw(8);
    if (kind === 0) return restart;
    if (kind === 1) return { kind: 'down', party: four };
    if (kind === 2) return { kind: 'up', party: four };
    return changes(...Array.from({ length: 1 + draw(3) }, change));
  };
  return Array.from({ length: 5 }, step);
}

for (let seed = 1; seed <= 6; seed++) scenarios[`drawn from seed ${seed}`] = drawn(seed);

/** Applies those of the changes that a bit is set for. */
function after(before: State, all: readonly Changes[], bits: number): State {
  const state = new Map(before);
  all.forEach((one, i) => {
    if (((bits >> i) & 1) === 0) return;
    for (const [name, bytes] of one) {
      if (bytes === undefined) state.delete(name);
      else state.set(name, toHex(bytes));
    }
  });
  return state;
}

async function contentOf(store: StateStore): Promise<State> {
  // What the store writes by itself.
  const names = (await store.list('')).filter((name) => !/^(scopes|erasing|anchor)\//.test(name));
  const records = await Promise.all(
    names.map(async (name) => [name, toHex((await store.get(name))!)] as const),
  );
  return new Map(records);
}

/** What the node may hold after a crash: everything that was acknowledged, and of the step that was interrupted any part. */
interface Outcome {
  readonly possible: readonly State[];
  readonly effects: number;
}

async function run(
  network: SealedNetwork,
  steps: readonly Step[],
  life: Life,
  first: State,
): Promise<Outcome> {
  let owner: OwnerProcess | undefined;
  let possible: readonly State[] = [first];
  const course = async (): Promise<void> => {
    owner = await network.restart(life);
    for (const step of steps) {
      if (step.kind === 'restart') {
        owner.seal.close();
        owner = await network.restart(life);
      } else if (step.kind === 'changes') {
        const { state } = owner;
        const [before] = possible;
        let acknowledged = 0;
        const all = 2 ** step.changes.length - 1;
        const states = (): readonly State[] =>
          Array.from({ length: all + 1 }, (_, bits) => bits)
            .filter((bits) => (bits & acknowledged) === acknowledged)
            .map((bits) => after(before!, step.changes, bits));
        possible = states();
        await Promise.all(
          step.changes.map(async (one, i) => {
            await state.change(one);
            if (life.isOver) return;
            acknowledged |= 1 << i;
            possible = states();
          }),
        );
      } else if (step.kind === 'holder-restarts') {
        await network.restartHolder(step.party);
        network.connect(owner, step.party);
      } else if (step.kind === 'down') {
        network.down.add(step.party);
      } else {
        network.connect(owner, step.party);
      }
    }
    await network.settled();
  };
  const ended = course().catch((error: unknown) => {
    if (!life.isOver) throw error;
  });
  await Promise.race([ended, life.crashed.promise]);
  const outcome = { possible, effects: life.count };
  owner?.seal.close();
  await network.settled();
  network.down.clear();
  return outcome;
}

/** Nodes gather what comes together and repeat what failed, by the clock: what is to come is given time. */
async function until(network: SealedNetwork, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    await network.settled();
    if (await holds()) return;
    await sleep(2);
  }
}

/** The bucket holds what the last two versions name and nothing else, and holders what the state names. */
async function expectTidy(network: SealedNetwork, { state, seal }: OwnerProcess, at: string): Promise<void> {
  await until(network, async () => (await state.erasing()).length === 0);
  expect(await state.erasing(), at).toEqual([]);
  // What the one before the last version names is kept too.
  for (const store of [state, seal.tierOne]) {
    await store.put('node/last', Uint8Array.of(1));
    await store.collectGarbage();
  }
  const bodies = await Promise.all((await state.list('')).map((name) => state.get(name)));
  const { objects } = network.clouds.get(partyId(1))!;
  const counts = async (): Promise<readonly number[]> =>
    Promise.all(
      ['tier-2/objects/', 'tier-2/manifests/', 'tier-1/objects/', 'tier-1/manifests/'].map(
        async (prefix) => (await objects.list(prefix)).length,
      ),
    );
  const expected = [bodies.filter((body) => body!.length > 1024 - 29).length, 2, 0, 2];
  // A version that only now takes effect leaves the one before the last behind, until the next collection.
  await until(network, async () => {
    for (const store of [state, seal.tierOne]) await store.collectGarbage();
    return `${await counts()}` === `${expected}`;
  });
  expect(await counts(), at).toEqual(expected);
}

let founded: SealedNetwork;
let first: State;
let points = 0;
beforeAll(async () => {
  founded = await SealedNetwork.create();
  const owner = await founded.found(put('node/identity', 32));
  first = await contentOf(owner.state);
  await founded.settled();
  owner.seal.close();
});

afterAll(() => {
  console.info(`${points} crash points`);
});

async function restartAndCheck(
  network: SealedNetwork,
  possible: readonly State[],
  at: string,
): Promise<void> {
  const owner = await network.restart();
  const found = await contentOf(owner.state);
  const isPossible = possible.some(
    (one) => one.size === found.size && [...one].every(([name, hex]) => found.get(name) === hex),
  );
  expect(isPossible, `${at}: ${[...found.keys()]}`).toBe(true);
  // It goes on, and nothing of what it was about to do stays behind.
  await owner.state.put('node/next', Uint8Array.of(7));
  await expectTidy(network, owner, at);
  // A share that was missing is on its way: n-1-t holders are enough for the state to go on without the last.
  const live = new Set((await owner.state.headers()).map(({ scope }) => JSON.stringify(scope)));
  for (const party of HOLDERS) {
    let kept: readonly string[] = [];
    await until(network, async () => {
      kept = (await network.recall(party)).shares.map(({ scope }) => JSON.stringify(scope));
      return [...live].every((scope) => kept.includes(scope));
    });
    for (const scope of live) expect(kept, at).toContain(scope);
  }
  owner.seal.close();
  if (points % 5 !== 0) return;
  // And a third life reads it all again.
  const again = await network.restart();
  expect(new Set((await contentOf(again.state)).keys())).toEqual(
    new Set([...found.keys(), 'node/next', 'node/last']),
  );
  again.seal.close();
}

describe('a crash anywhere', () => {
  it.each(Object.entries(scenarios))(
    'crash: %s',
    async (name, steps) => {
      const undisturbed = await run(await founded.copy(), steps, new Life(), first);
      expect(undisturbed.possible).toHaveLength(1);
      for (let k = 1; k <= undisturbed.effects; k++) {
        const network = await founded.copy();
        const { possible } = await run(network, steps, new Life(k), first);
        await restartAndCheck(network, possible, `${name}, effect ${k}`);
        points += 1;
      }
    },
    300_000,
  );

  it('crash: of a founding there is all or nothing', async () => {
    const secrets = both(put('node/identity', 32), put('node/signer', LARGE));
    const outcomes = new Set<string>();
    for (let k = 1; ; k++) {
      const network = await SealedNetwork.create();
      const life = new Life(k);
      const founding = network.found(secrets, life).then(
        ({ seal }) => seal.close(),
        (error: unknown) => {
          if (!life.isOver) throw error;
        },
      );
      await Promise.race([founding, life.crashed.promise]);
      if (!life.isOver) break;
      await network.settled();
      const outcome = await network.restart().then(
        async ({ state, seal }) => {
          expect(await contentOf(state)).toEqual(after(new Map(), [secrets], 1));
          seal.close();
          return 'founded';
        },
        (error: unknown) =>
          error instanceof Error && error.message === 'never founded' ? '-' : codeOf(error),
      );
      outcomes.add(outcome);
      points += 1;
    }
    expect(outcomes).toEqual(new Set(['-', 'STORE_FAILED', 'founded']));
  });

  it('crash: there were a thousand', () => {
    expect(points).toBeGreaterThanOrEqual(1_000);
  });
});
