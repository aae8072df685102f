import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../enclave/primitives.ts';
import type * as committeeModule from '../../shared/committee.ts';
import { committee } from '../../shared/committee.ts';
import { digest, type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import type * as broadcastModule from '../../shared/protocol/broadcast/broadcast.ts';
import { broadcastMessage } from '../../shared/protocol/broadcast/messages.ts';
import type * as earlyModule from '../../shared/protocol/keygen/early-messages.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import type { Membership } from '../../shared/protocol/machine.ts';
import type * as seedsModule from '../../shared/protocol/prss/seeds.ts';
import { agreementMessage } from '../../shared/protocol/session/messages.ts';
import { setupMessage } from '../../shared/protocol/setup/messages.ts';
import type * as transcriptModule from '../../shared/protocol/setup/transcript.ts';
import { digestOf, signStatement } from '../../shared/protocol/statement.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { type Delivery, memberships, type Rule, Simulation } from '../simulator/simulation.ts';
import { attackBoth, type Edit } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;

const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
const [victim, second, third, liar] = [1, 2, 3, 4].map((id) => partyId(id)) as [
  PartyId,
  PartyId,
  PartyId,
  PartyId,
];
const HOUR_MS = 3_600_000;

/** What one party has to do for the others. */
interface Work {
  verified: number;
  hashedBytes: number;
}

function measured(of: Membership, work: Work): Membership {
  const { primitives } = of;
  return {
    ...of,
    primitives: {
      ...primitives,
      verify: (...signed) => {
        work.verified++;
        return primitives.verify(...signed);
      },
      sha256: (...parts) => {
        for (const part of parts) work.hashedBytes += part.length;
        return primitives.sha256(...parts);
      },
    },
  };
}

/** Four parties; the work of party 1 is measured. */
async function simulation(load: Load, rules: readonly Rule[]) {
  const { Kernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { keygenFactory } = await load<typeof factoryModule>('test/simulator/committee-keys.ts');
  const factory = keygenFactory(await Kernel.load());
  const work: Work = { verified: 0, hashedBytes: 0 };
  const sim = new Simulation<KeyGeneration>({
    n: 4,
    t: 1,
    seed: 'cost',
    rules,
    factory: (membership, disk, rng) =>
      factory(membership.self === victim ? measured(membership, work) : membership, disk, rng),
  });
  return { sim, work };
}

const inside = (delivery: Delivery): KeygenMessage => decode(keygenMessage, delivery.message);

describe('messages that come again and again', () => {
  const certificates = 'shared/protocol/certificate.ts';
  const cases: readonly [string, Edit, (message: KeygenMessage) => boolean][] = [
    [
      'a share',
      {
        file: 'shared/protocol/opening/opening.ts',
        find: 'if (this.hasHeard(from)) return;',
        replace: '',
      },
      ({ kind }) => kind === 'share',
    ],
    [
      'a signature on a statement',
      { file: certificates, find: 'this.#heard.has(one.party) ||', replace: '' },
      ({ kind }) => kind === 'round-one' || kind === 'key-signature',
    ],
    [
      'a certificate',
      {
        file: certificates,
        find: 'if (this.#certificate !== undefined) return this.#certificate.statement === certificate.statement;',
        replace: '',
      },
      ({ kind }) => kind === 'round-one-certificate' || kind === 'key-certificate',
    ],
    [
      'a nonce',
      {
        file: 'shared/protocol/session/agreement.ts',
        find: 'this.#replies.has(from) || ',
        replace: '',
      },
      (message) =>
        message.kind === 'agreement' && decode(agreementMessage, message.body).kind === 'nonce-reply',
    ],
  ];

  async function verifications(
    load: Load,
    copies: number,
    repeats: (message: KeygenMessage) => boolean,
  ): Promise<number> {
    const flood: Rule = (delivery) => {
      const isRepeated = delivery.from === liar && delivery.to === victim && repeats(inside(delivery));
      return isRepeated ? Array.from({ length: copies }, () => delivery) : [delivery];
    };
    // Nobody is in a hurry: everything that is repeated comes before it is settled.
    const { sim, work } = await simulation(load, [flood]);
    sim.start();
    sim.run(
      () => sim.committee.parties.every((party) => sim.machine(party)?.finished !== undefined),
      HOUR_MS,
    );
    sim.run(() => false, 5000);
    expect(sim.machine(victim)?.finished).toBeDefined();
    return work.verified;
  }

  test.each(cases)('cost: %s is verified once', async (name, edit, repeats) => {
    const quiet = await verifications(real, 1, repeats);
    const outcome = await attackBoth(`once-${name.replaceAll(' ', '-')}`, [edit], async (load) => {
      return (await verifications(load, 50, repeats)) > quiet + 20;
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('cost: the digest of a record is not made anew for every question about it', async () => {
    const outcome = await attackBoth(
      'record-digest',
      [
        {
          file: 'shared/protocol/keygen/settlement.ts',
          find: 'const { digest: statement } = this.#record;',
          replace: 'const statement = keyDigest(this.#membership.primitives, this.#record.value);',
        },
      ],
      async (load) => {
        // The victim has signed and hears nothing of the others' signatures.
        const deaf: Rule = (delivery) => {
          const { kind } = inside(delivery);
          return delivery.to === victim && kind.startsWith('key-') ? [] : [delivery];
        };
        const { sim, work } = await simulation(load, [deaf]);
        sim.start();
        sim.run(() => (sim.machine(victim)?.pending.length ?? 0) > 0, 60_000);
        const [key] = sim.machine(victim)?.pending ?? [];
        if (key === undefined) throw new Error('nothing was signed');
        const before = work.hashedBytes;
        const query = encode(keygenMessage, { kind: 'query', key, attempt: 0 });
        const atMs = sim.nowMs + 100;
        for (let i = 0; i < 60; i++) sim.inject({ from: liar, to: victim, message: query, atMs });
        sim.run(() => false, 200);
        return work.hashedBytes - before > 10 << 20;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('cost: a peer that repeats a transcript does not make a party ask everybody each time', async () => {
    const outcome = await attackBoth(
      'repeated-transcript',
      [
        {
          file: 'shared/protocol/setup/archive.ts',
          find: "if (answer.kind === 'transcript') return this.#known !== before;",
          replace: "if (answer.kind === 'transcript') return true;",
        },
      ],
      async (load) => {
        let asked = 0;
        let isFlooding = false;
        const rules: Rule[] = [
          (delivery) => {
            const message = inside(delivery);
            if (message.kind !== 'archive') return [delivery];
            const { kind } = decode(setupMessage, message.body);
            if (delivery.from === victim && (kind === 'ask' || kind === 'fetch') && isFlooding) asked++;
            // Nobody gives the victim any values.
            if (delivery.to === victim && kind === 'answer') return [];
            if (delivery.to !== victim || kind !== 'transcript' || delivery.from !== liar) return [delivery];
            isFlooding = true;
            return Array.from({ length: 100 }, () => delivery);
          },
        ];
        const { sim } = await simulation(load, rules);
        sim.start([second, third, liar]);
        sim.run(
          () => [second, third, liar].every((party) => sim.machine(party)?.finished !== undefined),
          HOUR_MS,
        );
        sim.restart(victim);
        sim.run(() => isFlooding, 60_000);
        sim.run(() => false, 1000);
        return asked > 100;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('broadcast', () => {
  const SOURCE = 'shared/protocol/broadcast/broadcast.ts';
  const all = memberships(committee(4, 1), 'cost');
  const member = (party: PartyId): Membership => all.get(party)!;
  const terms = {
    session: digest('55'.repeat(32)),
    step: 'test',
    participants: [victim, second, third, liar],
    startMs: 0,
    roundMs: 1000,
    maxValueBytes: 100,
  };
  const sign = (party: PartyId, domain: string, ...fields: (string | number)[]) => ({
    party,
    signature: signStatement(member(party), domain, terms.session, terms.step, ...fields),
  });

  function relayOf(sender: PartyId, value: Uint8Array): Uint8Array {
    const signatures = [sign(sender, 'broadcast/value', sender, digestOf(nodePrimitives, value))];
    return encode(broadcastMessage, { kind: 'relay', sender, value, signatures });
  }

  test('broadcast: a value above the limit of its step is none', async () => {
    const outcome = await attackBoth(
      'oversized-value',
      [{ file: SOURCE, find: 'if (relay.value.length > this.#terms.maxValueBytes) return [];', replace: '' }],
      async (load) => {
        const { Broadcast } = await load<typeof broadcastModule>(SOURCE);
        const broadcast = new Broadcast(member(victim), terms);
        broadcast.propose(utf8('own'), 0);
        for (const sender of [second, third])
          broadcast.receive(sender, relayOf(sender, new Uint8Array(100)), 1);
        broadcast.receive(liar, relayOf(liar, new Uint8Array(101)), 1);
        broadcast.tick(10_000);
        expect(broadcast.outcome?.get(second)?.length).toBe(100);
        return broadcast.outcome?.get(liar) !== undefined;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a view is verified once, whatever it says', async () => {
    const outcome = await attackBoth(
      'views-cost',
      [{ file: SOURCE, find: 'if (this.#hasVoted.has(from)) return;', replace: '' }],
      async (load) => {
        const { Broadcast } = await load<typeof broadcastModule>(SOURCE);
        const work: Work = { verified: 0, hashedBytes: 0 };
        const broadcast = new Broadcast(measured(member(victim), work), terms);
        broadcast.propose(utf8('own'), 0);
        for (let i = 0; i < 100; i++) {
          const view = digest(`${i % 10}${i % 7}`.repeat(32));
          const { signature } = sign(liar, 'broadcast/signed-view', view);
          broadcast.receive(liar, encode(broadcastMessage, { kind: 'view', view, signature }), 1);
        }
        return work.verified > 1;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a certificate that cannot count any more is not verified, however often it comes', async () => {
    const outcome = await attackBoth(
      'late-certificate-cost',
      [
        {
          file: SOURCE,
          find: 'this.#signedView?.digest || !this.#counts(certificate, nowMs))',
          replace: 'this.#signedView?.digest)',
        },
      ],
      async (load) => {
        const { Broadcast } = await load<typeof broadcastModule>(SOURCE);
        const work: Work = { verified: 0, hashedBytes: 0 };
        const broadcast = new Broadcast(measured(member(victim), work), terms);
        const sent = broadcast.propose(utf8('own'), 0);
        for (const sender of [second, third, liar])
          sent.push(...broadcast.receive(sender, relayOf(sender, utf8(`${sender}`)), 1));
        const view = sent.map((one) => decode(broadcastMessage, one)).find(({ kind }) => kind === 'view');
        if (view?.kind !== 'view') throw new Error('no view was signed');
        const views = terms.participants.map((party) => sign(party, 'broadcast/signed-view', view.view));
        const bare = encode(broadcastMessage, { kind: 'certificate', view: view.view, views, relays: [] });
        const before = work.verified;
        for (let i = 0; i < 100; i++) broadcast.receive(liar, bare, 3500);
        expect(broadcast.outcome).toBeUndefined();
        return work.verified - before > 20;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('messages that wait for a session', () => {
  const EARLY = 'shared/protocol/keygen/early-messages.ts';
  const message = { kind: 'setup', session: digest('55'.repeat(32)), body: new Uint8Array(0) } as const;

  test.each([
    ['bytes', ' || kept.sizeBytes + sizeBytes > MAX_BYTES', 1 << 20, 100, 64],
    ['number', 'kept.messages.length >= MAX_MESSAGES || ', 10, 5000, 4096],
  ])('early messages: of one peer an end of %s is kept', async (name, find, sizeBytes, count, limit) => {
    const outcome = await attackBoth(`early-${name}`, [{ file: EARLY, find, replace: '' }], async (load) => {
      const { EarlyMessages } = await load<typeof earlyModule>(EARLY);
      const early = new EarlyMessages();
      for (let i = 0; i < count; i++) early.keep(liar, message, sizeBytes);
      early.keep(second, message, 10);
      const kept = early.take();
      // The flood costs nobody else a message.
      expect(kept.filter(([from]) => from === second).length).toBe(1);
      expect(early.take()).toEqual([]);
      return kept.length - 1 > limit;
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('sets that many messages refer to', () => {
  test.each<[string, Edit, (load: Load) => Promise<readonly [unknown, unknown]>]>([
    [
      'corrupt sets',
      {
        file: 'shared/committee.ts',
        find: 'const known = knownSets.get(of) ?? allSets(of);',
        replace: 'const known = allSets(of);',
      },
      async (load) => {
        const { committee: make, corruptSets } = await load<typeof committeeModule>('shared/committee.ts');
        const of = make(13, 4);
        return [corruptSets(of), corruptSets(of)];
      },
    ],
    [
      'holdings',
      {
        file: 'shared/protocol/prss/seeds.ts',
        find: 'byParty.get(party) ?? corruptSets',
        replace: 'corruptSets',
      },
      async (load) => {
        const { setsHeldBy } = await load<typeof seedsModule>('shared/protocol/prss/seeds.ts');
        const of = committee(13, 4);
        return [setsHeldBy(of, liar), setsHeldBy(of, liar)];
      },
    ],
    [
      'debts',
      {
        file: 'shared/protocol/setup/transcript.ts',
        find: 'byPair.get(pair) ?? new Set',
        replace: 'new Set',
      },
      async (load) => {
        const { setsOwed } = await load<typeof transcriptModule>('shared/protocol/setup/transcript.ts');
        const of = committee(13, 4);
        return [setsOwed(of, liar, victim), setsOwed(of, liar, victim)];
      },
    ],
  ])('memo: %s of a committee are worked out once, not for every message', async (name, edit, twice) => {
    const outcome = await attackBoth(`memo-${name.replaceAll(' ', '-')}`, [edit], async (load) => {
      const [first, again] = await twice(load);
      expect(again).toEqual(first);
      return first !== again;
    });
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
