import { describe, expect, test } from 'vitest';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { CertificateCollector, isCertified, keyScope } from '../../shared/protocol/certificate.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { decode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { keygenFactory } from '../simulator/committee-keys.ts';
import { checkKey } from '../simulator/key-check.ts';
import { type Delivery, type Rule, Simulation } from '../simulator/simulation.ts';
import { attackBoth } from './mutant.ts';
import { Witness } from './witness.ts';

const kernel = await Kernel.load();
const parties = [1, 2, 3, 4].map((id) => partyId(id));
const [starter, other, third, last] = parties as [PartyId, PartyId, PartyId, PartyId];
/** A party has about 80 effects in an undisturbed key generation. */
const LAST_EFFECT = 83;
const DOWN_MS = 300;
const FOREVER_MS = 900_000;

type Sim = Simulation<KeyGeneration>;

/** Every `step`-th effect from the first on; all of them when FUZZ_RUNS is set. */
function effects(first: number, step: number): readonly number[] {
  const every = process.env.FUZZ_RUNS === undefined ? step : 1;
  return Array.from({ length: Math.ceil((LAST_EFFECT - first + 1) / every) }, (_, i) => first + i * every);
}

function simulation(seed: string, ...rules: Rule[]): { readonly sim: Sim; readonly witness: Witness } {
  const witness = new Witness();
  const factory = keygenFactory(kernel);
  return { sim: new Simulation({ n: 4, t: 1, seed, factory, rules: [...rules, witness.rule] }), witness };
}

const haveKey =
  (sim: Sim, of: readonly PartyId[] = parties) =>
  (): boolean =>
    of.every((party) => sim.machine(party)?.finished !== undefined);

/** What holds after every run, whatever was crashed. */
function expectSound(sim: Sim, witness: Witness): void {
  const certified = witness.inspect(sim);
  const certifiable = witness.certifiable(sim.committee.certificateQuorum);
  expect(witness.violations).toEqual([]);
  expect(new Set([...certified, ...certifiable]).size).toBeLessThanOrEqual(1);
}

describe('crash of one party', () => {
  const cases = [
    ...effects(1, 9).map((effect) => [starter, effect] as const),
    ...effects(3, 9).map((effect) => [third, effect] as const),
  ];

  test.each(cases)('crash: party %i before its effect %i costs nobody the key', (victim, effect) => {
    const { sim, witness } = simulation('one');
    const others = parties.filter((party) => party !== victim);
    sim.crashBefore.set(victim, effect);
    sim.start();
    sim.run(() => sim.machine(victim) === undefined);
    const hasCrashed = sim.machine(victim) === undefined;
    if (hasCrashed) {
      witness.died(victim);
      witness.inspect(sim);
      sim.at(sim.nowMs + DOWN_MS, () => sim.restart(victim));
    }
    expect(sim.run(haveKey(sim, others), FOREVER_MS)).toBe(true);
    // The party that crashed ends with the same key, though perhaps without a share of it.
    expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
    checkKey(kernel, sim, parties);
    expectSound(sim, witness);
    expectEverybodyRemembers(sim);
  });
});

/** What a node loads from its disk is the key, without a word from anybody. */
function expectEverybodyRemembers(sim: Sim): void {
  const before = sim.machine(starter)?.finished?.record.key;
  sim.crashBefore.clear();
  for (const party of parties) {
    sim.restart(party);
    expect(sim.machine(party)?.finished?.record.key).toBe(before);
  }
}

/** Everybody restarts at once; then there is one key for all: the one begun, or that of a clean retry. */
function expectRecovery(sim: Sim, witness: Witness): void {
  for (const party of parties) {
    sim.crash(party);
    witness.died(party);
  }
  sim.crashBefore.clear();
  witness.inspect(sim);
  for (const party of parties) sim.restart(party);
  expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
  checkKey(kernel, sim, parties);
  expectSound(sim, witness);
}

describe('crash of the whole network', () => {
  test.each(effects(2, 9))('crash: everybody when the second party comes to its effect %i', (effect) => {
    const { sim, witness } = simulation('all');
    sim.crashBefore.set(other, effect);
    sim.start();
    sim.run(() => sim.machine(other) === undefined);
    expectRecovery(sim, witness);
  });

  test.each(effects(5, 15))('crash: everybody before its own effect %i', (effect) => {
    const { sim, witness } = simulation('each');
    for (const party of parties) sim.crashBefore.set(party, effect);
    sim.start();
    sim.run(() => parties.every((party) => sim.machine(party) === undefined));
    expectRecovery(sim, witness);
  });

  test('crash: all of them, again and again, at every step of the way', () => {
    const { sim, witness } = simulation('again');
    sim.start();
    for (let effect = 7; effect < 200 && !haveKey(sim)(); effect += 31) {
      sim.crashBefore.set(starter, effect);
      sim.run(() => sim.machine(starter) === undefined || haveKey(sim)(), FOREVER_MS);
      for (const party of parties) {
        sim.crash(party);
        witness.died(party);
      }
      for (const party of parties) sim.restart(party);
    }
    sim.run(haveKey(sim), FOREVER_MS);
    checkKey(kernel, sim, parties);
    expectSound(sim, witness);
  });
});

/** Lists the sessions in the order in which their first message was sent. */
function sessionOrder(): { readonly indexOf: (message: KeygenMessage) => number; readonly rule: Rule } {
  const sessions: string[] = [];
  const indexOf = (message: KeygenMessage): number =>
    'session' in message ? sessions.indexOf(message.session) : -1;
  const rule: Rule = (delivery) => {
    const message = decode(keygenMessage, delivery.message);
    if ('session' in message && !sessions.includes(message.session)) sessions.push(message.session);
    return [delivery];
  };
  return { indexOf, rule };
}

/** In the first `attempts` sessions nobody but the starter receives the last shares: it alone signs the first key. */
function loneSigner(attempts: number): readonly Rule[] {
  const order = sessionOrder();
  const starve: Rule = (delivery) => {
    const message = decode(keygenMessage, delivery.message);
    const isStarved =
      message.kind === 'share' && message.name.startsWith('relin-b') && delivery.to !== starter;
    return isStarved && order.indexOf(message) < attempts ? [] : [delivery];
  };
  return [order.rule, starve];
}

describe('everything that was ever said, said again', () => {
  test.each([20, 45, 70])(
    'crash: replayed to parties that restarted at effect %i, it changes nothing',
    (effect) => {
      const recorded: Delivery[] = [];
      const recorder: Rule = (delivery) => {
        recorded.push({ ...delivery, message: delivery.message.slice() });
        return [delivery];
      };
      const { sim, witness } = simulation('replay', recorder);
      sim.crashBefore.set(other, effect);
      sim.start();
      sim.run(() => sim.machine(other) === undefined);
      for (const party of parties) {
        sim.crash(party);
        witness.died(party);
      }
      sim.crashBefore.clear();
      const before = recorded.length;
      expect(before).toBeGreaterThan(20);
      for (const party of parties) sim.restart(party);
      // The whole record at once, then again and again in the middle of what the parties do now.
      for (let again = 0; again < 4; again++) {
        sim.at(sim.nowMs + 1 + again * 700, () => {
          for (const delivery of recorded.slice(0, before)) sim.inject({ ...delivery, atMs: sim.nowMs + 1 });
        });
      }
      expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
      checkKey(kernel, sim, parties);
      expectSound(sim, witness);
      for (const party of parties) expect(sim.machine(party)?.culprits).toEqual([]);
    },
  );
});

describe('crash between attempts', () => {
  test('crash: a party that was never in the session remembers the key it adopted', () => {
    const { sim, witness } = simulation('adopter');
    sim.start([starter, other, third]);
    expect(sim.run(haveKey(sim, [starter, other, third]))).toBe(true);
    sim.restart(last);
    expect(sim.run(haveKey(sim))).toBe(true);
    expectSound(sim, witness);
    expectEverybodyRemembers(sim);
  });

  test('crash: a party that signed a key alone adopts and remembers the one that the others certified', () => {
    const { sim, witness } = simulation('lone', ...loneSigner(1));
    sim.start();
    expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
    expect(checkKey(kernel, sim, parties).record.attempt).toBe(1);
    expectEverybodyRemembers(sim);
    expect(witness.inspect(sim).size).toBe(1);
    expect(witness.violations).toEqual([]);
  });

  test.each([1, 4])('crash: a lone signer that was away learns of the key %i attempts later', (attempts) => {
    const { sim, witness } = simulation('away', ...loneSigner(attempts));
    sim.start();
    sim.run(() => (sim.machine(starter)?.pending.length ?? 0) > 0);
    sim.crash(starter);
    witness.died(starter);
    expect(sim.run(haveKey(sim, [other, third, last]), FOREVER_MS)).toBe(true);
    sim.run(() => false, 60_000);
    sim.restart(starter);
    expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
    checkKey(kernel, sim, parties);
    expect(witness.inspect(sim).size).toBe(1);
    expectEverybodyRemembers(sim);
  });

  test.each([1, 3, 5])(
    'crash: %i effects behind the certificate, seeds of a lost attempt are erased',
    (later) => {
      const order = sessionOrder();
      const { sim, witness } = simulation('seeds', order.rule, (delivery) => {
        const message = decode(keygenMessage, delivery.message);
        return message.kind === 'share' && order.indexOf(message) === 0 ? [] : [delivery];
      });
      const disk = sim.disk(other);
      const write = disk.set.bind(disk);
      disk.set = (name, record) => {
        if (name.endsWith('/certificate')) sim.crashBefore.set(other, sim.effectsDone(other) + later);
        return write(name, record);
      };
      const seeds = (): number => [...disk.keys()].filter((name) => name.endsWith('/seeds')).length;
      sim.start();
      sim.run(() => sim.machine(other) === undefined, FOREVER_MS);
      witness.died(other);
      sim.crashBefore.clear();
      sim.restart(other);
      expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
      expect(seeds()).toBe(1);
      checkKey(kernel, sim, parties);
      expectSound(sim, witness);
    },
  );
});

describe('a network-wide crash after the signatures', () => {
  /** The adversary keeps every signature on a key for itself and lets each party crash right after its own. */
  async function attack(load: <Module>(file: string) => Promise<Module>): Promise<boolean> {
    const { Kernel: LoadedKernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
    const factory = (await load<typeof factoryModule>('test/simulator/committee-keys.ts')).keygenFactory(
      await LoadedKernel.load(),
    );
    const stolen = new Map<PartyId, Extract<KeygenMessage, { kind: 'key-signature' }>>();
    let isOver = false;
    const steal = (delivery: Delivery): readonly Delivery[] => {
      const message = decode(keygenMessage, delivery.message);
      if (isOver || message.kind !== 'key-signature') return [delivery];
      stolen.set(delivery.from, message);
      const isLastOfThree = delivery.to === (delivery.from === last ? third : last);
      if (isLastOfThree) sim.crashBefore.set(delivery.from, sim.effectsDone(delivery.from) + 1);
      return [];
    };
    const sim: Sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'signed', factory, rules: [steal] });
    sim.start();
    sim.run(() => stolen.size === 4, 30_000);
    isOver = true;
    for (const party of parties) sim.crash(party);
    sim.crashBefore.clear();
    const [first] = stolen.values();
    if (first === undefined) throw new Error('nobody signed');
    const collector = new CertificateCollector(sim.membership(starter), keyScope(first.key));
    for (const { statement, by } of stolen.values()) collector.add(statement, by);
    const { certificate } = collector;
    const holdsCertificate =
      certificate !== undefined && isCertified(sim.membership(starter), keyScope(first.key), certificate);
    expect(holdsCertificate).toBe(true);
    for (const party of parties) sim.restart(party);
    expect(sim.run(haveKey(sim), FOREVER_MS)).toBe(true);
    const { record } = checkKey(await Kernel.load(), sim, parties);
    return record.key !== first.key;
  }

  test('crash: the key that was signed is the key, because its record was durable before the signature', async () => {
    const outcome = await attackBoth(
      'spoken-before-durable',
      [
        {
          file: 'shared/protocol/keygen/settlement.ts',
          find: 'return [sealed, ...this.#repeatSignature(), ...this.#settle()];',
          replace: 'return [...this.#repeatSignature(), sealed, ...this.#settle()];',
        },
      ],
      attack,
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
