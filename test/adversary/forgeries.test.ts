import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { committee } from '../../shared/committee.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { Allowance } from '../../shared/protocol/allowance.ts';
import { Forgeries } from '../../shared/protocol/forgeries.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { isSigned, signStatement } from '../../shared/protocol/statement.ts';
import { decode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { keygenFactory } from '../simulator/committee-keys.ts';
import { checkKey } from '../simulator/key-check.ts';
import {
  type Delivery,
  type Factory,
  memberships,
  type Rule,
  roughNetwork,
  Simulation,
} from '../simulator/simulation.ts';
import { attackBoth, type Edit } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;

const [victim, second, third, liar] = [1, 2, 3, 4].map((id) => partyId(id)) as [
  PartyId,
  PartyId,
  PartyId,
  PartyId,
];
const honest = [victim, second, third];
/** What a peer may make a party verify in vain, and a little for messages with more than one signature. */
const FEW = 20;

const noSilence: Edit = {
  file: 'shared/protocol/forgeries.ts',
  find: 'if (!this.#allowance.has(party, nowMs)) return undefined;',
  replace: '',
};

/** Counts the signatures that a party refuses. */
function counting(factory: Factory<KeyGeneration>) {
  const refused = new Map<PartyId, number>();
  const counted: Factory<KeyGeneration> = (membership, disk, rng) => {
    const { self, primitives } = membership;
    const verify: typeof primitives.verify = (...signed) => {
      const isValid = primitives.verify(...signed);
      if (!isValid) refused.set(self, (refused.get(self) ?? 0) + 1);
      return isValid;
    };
    return factory({ ...membership, primitives: { ...primitives, verify } }, disk, rng);
  };
  return { refused, factory: counted };
}

async function simulation(load: Load, rules: readonly Rule[], network = {}) {
  const { Kernel: LoadedKernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { keygenFactory: make } = await load<typeof factoryModule>('test/simulator/committee-keys.ts');
  const { refused, factory } = counting(make(await LoadedKernel.load()));
  const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'forge', rules, factory, ...network });
  return { sim, refused };
}

/** Every signature the liar sends is followed by many that are not valid: those of others among them. */
function forgeriesOf(kinds: readonly string[], copies: number): Rule {
  return (delivery) => {
    if (delivery.from !== liar || delivery.to !== victim) return [delivery];
    if (!kinds.includes(decode(keygenMessage, delivery.message).kind)) return [delivery];
    const forged = delivery.message.slice();
    // Signatures come last; certificates end with that of an honest party.
    forged[forged.length - 10]! ^= 1;
    const forgeries: Delivery[] = Array.from({ length: copies }, () => ({ ...delivery, message: forged }));
    return [...forgeries, delivery];
  };
}

describe('invalid signatures', () => {
  test.each([
    ['shares', ['share']],
    ['statements of the first round', ['round-one']],
    ['key signatures', ['key-signature']],
    ['setup messages', ['setup']],
    ['proposals and nonces', ['agreement']],
  ])('forgeries: a flood of invalid %s costs a party little and nobody the key', async (_, kinds) => {
    const outcome = await attackBoth('no-silence', [noSilence], async (load) => {
      const { sim, refused } = await simulation(load, [forgeriesOf(kinds, 100)]);
      sim.start();
      const haveKey = () => honest.every((party) => sim.machine(party)?.finished !== undefined);
      expect(sim.run(haveKey, 300_000)).toBe(true);
      checkKey(await Kernel.load(), sim, honest);
      sim.run(() => false, 2000);
      expect([...refused.keys()]).toEqual([victim]);
      return (refused.get(victim) ?? 0) > FEW;
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('forgeries: messages that wait for the session count as well', async () => {
    const outcome = await attackBoth('no-silence-early', [noSilence], async (load) => {
      // The victim learns of the session last, when everything else has arrived.
      const late: Rule = (delivery) => {
        const isForVictim = delivery.to === victim && delivery.from !== liar;
        const { kind } = decode(keygenMessage, delivery.message);
        return isForVictim && kind === 'agreement' ? [{ ...delivery, atMs: delivery.atMs + 60 }] : [delivery];
      };
      const { sim, refused } = await simulation(load, [late, forgeriesOf(['setup'], 100)]);
      sim.start();
      sim.run(() => honest.every((party) => sim.machine(party)?.finished !== undefined), 300_000);
      return (refused.get(victim) ?? 0) > FEW;
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('forgeries: honest parties bring none, whatever the network and crashes do', async () => {
    const kernel = await Kernel.load();
    const { refused, factory } = counting(keygenFactory(kernel));
    for (const seed of ['h1', 'h2']) {
      const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed, factory, network: roughNetwork });
      sim.start();
      sim.at(sim.nowMs + 700, () => sim.restart(second));
      sim.at(sim.nowMs + 9000, () => sim.restart(third));
      sim.run(() => [...honest, liar].every((party) => sim.machine(party)?.finished !== undefined), 900_000);
      checkKey(kernel, sim, [...honest, liar]);
    }
    expect([...refused]).toEqual([]);
  });

  test('forgeries: the sender is charged, not whom the signature claims to be of', () => {
    const membership = memberships(committee(4, 1), 'frame').get(victim)!;
    const forgeries = new Forgeries();
    const watched = forgeries.watch(membership);
    const forge = (from: PartyId, nowMs: number) =>
      forgeries.hear(from, nowMs, () => isSigned(watched, second, new Uint8Array(64), 'x'));
    for (let i = 0; i < 16; i++) expect(forge(liar, 0)).toBe(false);
    expect(forge(liar, 0)).toBeUndefined();
    expect(forge(second, 0)).toBe(false);
    // What this party verifies on its own account is charged to nobody.
    for (let i = 0; i < 50; i++) isSigned(watched, second, new Uint8Array(64), 'x');
    expect(forgeries.hear(second, 0, () => 'heard')).toBe('heard');
    expect(forgeries.hear(third, 0, () => 'heard')).toBe('heard');
    // One more may follow when a sixteenth of an hour has passed.
    expect(forge(liar, 200_000)).toBeUndefined();
    expect(forge(liar, 226_000)).toBe(false);
    expect(forge(liar, 226_000)).toBeUndefined();
  });

  test('forgeries: valid signatures and other mistakes cost nothing', () => {
    const all = memberships(committee(4, 1), 'frame');
    const forgeries = new Forgeries();
    const watched = forgeries.watch(all.get(victim)!);
    const signature = signStatement(all.get(second)!, 'x');
    for (let i = 0; i < 100; i++) {
      expect(forgeries.hear(second, 0, () => isSigned(watched, second, signature, 'x'))).toBe(true);
      expect(() =>
        forgeries.hear(second, 0, () => {
          throw new RangeError('not a message');
        }),
      ).toThrow(RangeError);
    }
    // The counter is not left running by a step that failed.
    for (let i = 0; i < 50; i++) isSigned(watched, second, new Uint8Array(64), 'x');
    expect(forgeries.hear(second, 0, () => 'heard')).toBe('heard');
    expect(watched.primitives.sha256()).toEqual(nodePrimitives.sha256());
  });

  test('allowance: as many at once, refilled evenly, never above', () => {
    const allowance = new Allowance(4, 1000);
    const take = (nowMs: number): number => {
      let taken = 0;
      while (allowance.take(second, nowMs)) taken++;
      return taken;
    };
    expect(take(0)).toBe(4);
    expect(allowance.has(second, 249)).toBe(false);
    expect(allowance.has(second, 250)).toBe(true);
    expect(take(500)).toBe(2);
    expect(take(400)).toBe(0);
    expect(take(1_000_000)).toBe(4);
    expect(allowance.has(third, 0)).toBe(true);
  });
});
