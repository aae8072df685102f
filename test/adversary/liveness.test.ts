import { describe, expect, test } from 'vitest';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { requestPurpose } from '../../shared/protocol/keygen/request.ts';
import { type AgreementMessage, agreementMessage } from '../../shared/protocol/session/messages.ts';
import { setupMessage } from '../../shared/protocol/setup/messages.ts';
import { signStatement } from '../../shared/protocol/statement.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { testRequest } from '../simulator/committee-keys.ts';
import { type Delivery, type Rule, Simulation } from '../simulator/simulation.ts';
import { attackBoth } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;
type Sim = Simulation<KeyGeneration>;

const AGREEMENT = 'shared/protocol/session/agreement.ts';
const CUSTODY = 'shared/protocol/keygen/seed-custody.ts';
const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
const [one, two, three, four] = [1, 2, 3, 4].map((id) => partyId(id)) as [PartyId, PartyId, PartyId, PartyId];
const HOUR_MS = 3_600_000;

async function simulation(load: Load, rules: readonly Rule[]): Promise<Sim> {
  const { Kernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { keygenFactory } = await load<typeof factoryModule>('test/simulator/committee-keys.ts');
  const factory = keygenFactory(await Kernel.load());
  return new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'live', rules, factory });
}

function inside(delivery: Delivery): KeygenMessage {
  return decode(keygenMessage, delivery.message);
}

function agreementIn(delivery: Delivery): AgreementMessage | undefined {
  const message = inside(delivery);
  return message.kind === 'agreement' ? decode(agreementMessage, message.body) : undefined;
}

const haveKey = (sim: Sim, parties: readonly PartyId[]) => (): boolean =>
  parties.every((party) => sim.machine(party)?.finished !== undefined);

/** The starter of the first attempt leaves party 3 out of the list. */
const omitThree: Rule = (delivery) => {
  const isReply =
    delivery.from === three && delivery.to === one && agreementIn(delivery)?.kind === 'nonce-reply';
  return isReply ? [] : [delivery];
};

describe('key generation under a malicious starter', () => {
  test('keygen: a party left out of the session still gets its seeds, so the starter gains no veto over decryption', async () => {
    const outcome = await attackBoth(
      'seedless',
      [
        {
          file: CUSTODY,
          find: 'this.#recovery ??= new SeedArchive',
          replace: 'if (record) return [];\n    this.#recovery ??= new SeedArchive',
        },
      ],
      async (load) => {
        const sim = await simulation(load, [omitThree]);
        sim.start();
        sim.run(haveKey(sim, sim.committee.parties), HOUR_MS);
        sim.run(() => sim.machine(three)?.finished?.seeds !== undefined, HOUR_MS);
        return sim.machine(three)?.finished?.seeds === undefined;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('keygen: contributions are kept until every member has its seeds, and erased then', async () => {
    const sim = await simulation(real, [omitThree]);
    sim.start([one, two, four]);
    sim.run(haveKey(sim, [one, two, four]), HOUR_MS);
    sim.run(() => false, 10_000);
    const archives = (): number =>
      sim.committee.parties.filter((party) =>
        [...sim.disk(party).keys()].some((name) => name.endsWith('/archive')),
      ).length;
    expect(archives()).toBe(3);
    for (const party of [one, two, four]) sim.restart(party);
    sim.restart(three);
    sim.run(() => sim.machine(three)?.finished?.seeds !== undefined, HOUR_MS);
    sim.run(() => false, 30_000);
    expect(sim.machine(three)?.finished?.seeds).toBeDefined();
    expect(archives()).toBe(0);
  });

  test('keygen: shares for one party only do not lock it: the others go on without its first signature', async () => {
    let isSilent = false;
    const sim = await simulation(real, [
      omitThree,
      (delivery) => {
        if (delivery.from !== one) return [delivery];
        const message = inside(delivery);
        if (isSilent || message.kind === 'key-signature' || message.kind === 'key-certificate') return [];
        const isStarved =
          message.kind === 'share' && message.name.startsWith('relin-b') && delivery.to === two;
        return isStarved ? [] : [delivery];
      },
    ]);
    sim.start();
    sim.run(() => (sim.machine(four)?.pending.length ?? 0) > 0, 300_000);
    isSilent = true;
    expect(sim.run(haveKey(sim, [two, three, four]), HOUR_MS)).toBe(true);
  });

  test('keygen: a peer that repeats its certificate and serves nothing does not keep a late party from the key', async () => {
    let certificate: Delivery | undefined;
    const sim = await simulation(real, [
      (delivery) => {
        if (delivery.from !== four || delivery.to !== three) return [delivery];
        const { kind } = inside(delivery);
        if (kind === 'key-certificate') certificate = delivery;
        return kind === 'chunk' ? [] : [delivery];
      },
    ]);
    sim.start([one, two, four]);
    sim.run(haveKey(sim, [one, two, four]), 300_000);
    sim.restart(three);
    const endMs = sim.nowMs + 100_000;
    const spam = (): void => {
      if (certificate !== undefined) sim.inject({ ...certificate, atMs: sim.nowMs });
      if (sim.nowMs < endMs) sim.at(sim.nowMs + 20, spam);
    };
    spam();
    expect(sim.run(haveKey(sim, [three]), 100_000)).toBe(true);
  });

  test('keygen: a session that fails after the key has come begins no other', async () => {
    const outcome = await attackBoth(
      'restless',
      [
        {
          file: 'shared/protocol/keygen/keygen.ts',
          find: 'this.#endAttempt();\n    if (this.#finished !== undefined) return [];',
          replace: 'this.#endAttempt();',
        },
      ],
      async (load) => {
        let asked = 0;
        const sim: Sim = await simulation(load, [
          (delivery) => {
            const message = inside(delivery);
            if (delivery.from === two && agreementIn(delivery)?.kind === 'nonce-request') asked++;
            if (delivery.to !== two) return [delivery];
            // Party 2 learns of the key, and of its own session too little and too late.
            if (message.kind !== 'setup') return [delivery];
            const { kind } = decode(setupMessage, message.body);
            if (kind === 'commitments') return [delivery];
            return kind === 'signature' ? [{ ...delivery, atMs: delivery.atMs + 6000 }] : [];
          },
        ]);
        sim.start();
        expect(sim.run(haveKey(sim, sim.committee.parties), 15_000)).toBe(true);
        sim.run(() => false, 20_000);
        return asked > 0;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('session agreement', () => {
  test('session: a starter waits for replies as long as a round trip may take', async () => {
    const outcome = await attackBoth(
      'hasty-starter',
      [{ file: AGREEMENT, find: 'const REPLY_ROUNDS = 2;', replace: 'const REPLY_ROUNDS = 1;' }],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, rules);
        const liar = sim.membership(three);
        const purpose = requestPurpose(liar, testRequest);
        // Party 4 is slow, but within the bound; party 3 answers nonce requests at once and then says nothing.
        rules.push((delivery) => {
          const asked = agreementIn(delivery);
          if (delivery.to === three && asked?.kind === 'nonce-request') {
            sim.at(delivery.atMs, () => sim.inject(quickReply(sim, delivery.from, asked.attempt)));
            return [];
          }
          const isSlow = delivery.from === four || delivery.to === four;
          return [{ ...delivery, atMs: delivery.atMs + (isSlow ? 850 : 0) }];
        });
        function quickReply(of: Sim, to: PartyId, attempt: number): Delivery {
          const nonce = new Uint8Array(32).fill(9);
          const { networkId, configuration, epoch } = liar;
          const topic = [networkId, configuration, epoch, purpose, attempt];
          const signature = signStatement(liar, 'session/nonce', ...topic, three, nonce);
          const reply: AgreementMessage = {
            kind: 'nonce-reply',
            attempt,
            nonce: { party: three, nonce, signature },
          };
          const message = encode(keygenMessage, { kind: 'agreement', body: encode(agreementMessage, reply) });
          return { from: three, to, message, atMs: of.nowMs + 5 };
        }
        sim.start([one, two, four]);
        return !sim.run(() => [one, two, four].some((party) => haveKey(sim, [party])()), 600_000);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('session: a proposal shown to one party reaches everybody on its list', async () => {
    const outcome = await attackBoth(
      'trap',
      [
        {
          file: AGREEMENT,
          find: "return others.map((to) => ({ kind: 'send', to, message }));",
          replace: "return others.slice(others.length).map((to) => ({ kind: 'send', to, message }));",
        },
      ],
      async (load) => {
        // The starter of attempt 0 is corrupt: only party 2 is shown the proposal, and is trapped alone.
        const hide: Rule = (delivery) => {
          const isShown = delivery.to === two || delivery.from !== one;
          return isShown || agreementIn(delivery)?.kind !== 'proposal' ? [delivery] : [];
        };
        const sim = await simulation(load, [hide]);
        sim.start();
        sim.run(() => sim.machine(two)?.progress.phase === 'setting up seeds', 10_000);
        sim.run(() => false, 500);
        return [three, four].every((party) => sim.machine(party)?.progress.phase === 'agreeing on a session');
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
