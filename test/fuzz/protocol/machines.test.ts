import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import type * as kernelModule from '../../../shared/math/kernel/kernel.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../../shared/protocol/keygen/messages.ts';
import { setupMessage } from '../../../shared/protocol/setup/messages.ts';
import { type Codec, decode, encode } from '../../../shared/wire/codec.ts';
import { Mutant } from '../../adversary/mutant.ts';
import type * as factoryModule from '../../simulator/committee-keys.ts';
import { keygenFactory } from '../../simulator/committee-keys.ts';
import { checkKey } from '../../simulator/key-check.ts';
import { type Factory, type Rule, Simulation } from '../../simulator/simulation.ts';
import { type Damage, damage, damaged } from './damage.ts';

const kernel = await Kernel.load();

/** A machine that hears everybody to the end: one that forges too much would be silenced, and the fuzz be idle. */
const patient = new Mutant('patient', [
  {
    file: 'shared/protocol/forgeries.ts',
    find: 'if (!this.#allowance.has(party, nowMs)) return undefined;',
    replace: '',
  },
]);
afterAll(() => patient[Symbol.dispose]());
const { Kernel: PatientKernel } = await patient.import<typeof kernelModule>('shared/math/kernel/kernel.ts');
const patientFactory = (
  await patient.import<typeof factoryModule>('test/simulator/committee-keys.ts')
).keygenFactory(await PatientKernel.load());
const runs = Number(process.env.FUZZ_RUNS ?? 5);
const parties = [1, 2, 3, 4].map((id) => partyId(id));
const [reader, liar] = [partyId(1), partyId(4)];
const honest = parties.filter((party) => party !== liar);

/** Damage at any depth: of the message, or of what lies inside it, so that the outer layers are genuine. */
function damagedWithin(message: Uint8Array, how: Damage, depth: number): Uint8Array {
  const outer = depth === 0 ? undefined : read(keygenMessage, message);
  if (outer?.kind !== 'agreement' && outer?.kind !== 'setup') return damaged(message, how);
  const inner = depth === 1 || outer.kind !== 'setup' ? undefined : read(setupMessage, outer.body);
  if (inner?.kind !== 'commitments' && inner?.kind !== 'namings')
    return reseal(outer, damaged(outer.body, how));
  return reseal(outer, encode(setupMessage, { ...inner, body: damaged(inner.body, how) }));
}

function reseal(
  outer: Extract<KeygenMessage, { kind: 'agreement' | 'setup' }>,
  body: Uint8Array,
): Uint8Array {
  return encode(keygenMessage, { ...outer, body });
}

function read<T>(codec: Codec<T>, bytes: Uint8Array): T | undefined {
  try {
    return decode(codec, bytes);
  } catch {
    return undefined;
  }
}

function simulation(
  seed: string,
  rules: readonly Rule[] = [],
  factory: Factory<KeyGeneration> = patientFactory,
): Simulation<KeyGeneration> {
  return new Simulation({ n: 4, t: 1, seed, factory, rules });
}

const haveKey = (sim: Simulation<KeyGeneration>, of: readonly PartyId[]) => (): boolean =>
  of.every((party) => sim.machine(party)?.finished !== undefined);

describe('fuzz: machines', () => {
  // FUZZ_SEED repeats a run that failed.
  const repeated = process.env.FUZZ_SEED;
  const seeds = repeated === undefined ? fc.sample(fc.nat(), { numRuns: runs }) : [Number(repeated)];

  test.each(seeds)('fuzz keygen: whatever one party sends, the others end with one key (seed %i)', (seed) => {
    // Every other run the liar sends its genuine messages too, or it would never be in a session.
    const isGenuineToo = seed % 2 === 0;
    const damages = fc.sample(fc.tuple(damage, fc.nat(2)), { seed, numRuns: 500 });
    let count = 0;
    const hostile: Rule = (delivery) => {
      if (delivery.from !== liar) return [delivery];
      const copies = [0, 1].map(() => {
        const [how, depth] = damages[count++ % damages.length]!;
        return { ...delivery, message: damagedWithin(delivery.message, how, depth) };
      });
      return isGenuineToo ? [...copies, delivery] : copies;
    };
    const factory = seed % 4 < 2 ? patientFactory : keygenFactory(kernel);
    const sim = simulation(`fuzz ${seed}`, [hostile], factory);
    sim.start();
    expect(sim.run(haveKey(sim, honest), 900_000)).toBe(true);
    checkKey(kernel, sim, honest);
    for (const party of honest) expect(sim.machine(party)?.culprits).toEqual([]);
  });

  /** What the reader hears in an undisturbed run, and a reader stopped in the phase asked for. */
  function stopped(phase: string) {
    const heard: { readonly from: PartyId; readonly message: Uint8Array }[] = [];
    const whole = simulation('corpus', [
      (delivery) => {
        if (delivery.to === reader) heard.push(delivery);
        return [delivery];
      },
    ]);
    whole.start();
    whole.run(haveKey(whole, parties));
    const sim = simulation('corpus');
    sim.start();
    sim.run(() => sim.machine(reader)?.progress.phase === phase);
    const machine = sim.machine(reader)!;
    expect(machine.progress.phase).toBe(phase);
    return { heard, machine, nowMs: sim.nowMs };
  }

  const phases = [
    'agreeing on a session',
    'setting up seeds',
    'opening key elements',
    'certifying the key',
    'done',
  ];

  test.each(phases)(
    'fuzz keygen: damaged, misplaced and foreign messages throw nothing while %s',
    (phase) => {
      const { heard, machine, nowMs } = stopped(phase);
      const message = fc.tuple(fc.nat(), damage, fc.nat(2), fc.constantFrom(...parties), fc.nat(50));
      fc.assert(
        fc.property(message, ([which, how, depth, from, laterMs]) => {
          const genuine = heard[which % heard.length]!;
          machine.receive(from, damagedWithin(genuine.message, how, depth), nowMs + laterMs);
        }),
        { numRuns: 40 * runs },
      );
    },
  );

  test.each(phases)('fuzz keygen: noise does nothing while %s', (phase) => {
    const { machine, nowMs } = stopped(phase);
    const before = machine.progress;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...parties), (noise, from) => {
        fc.pre(read(keygenMessage, noise) === undefined);
        expect(machine.receive(from, noise, nowMs)).toEqual([]);
      }),
      { numRuns: 40 * runs },
    );
    const tags = Array.from({ length: 256 }, (_, tag) => Uint8Array.of(tag));
    const huge = [new Uint8Array(9 << 20), new Uint8Array(9 << 20).fill(2)];
    for (const input of [new Uint8Array(0), ...tags, ...huge])
      expect(machine.receive(liar, input, nowMs)).toEqual([]);
    expect(machine.progress).toEqual(before);
  });
});
