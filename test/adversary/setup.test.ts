import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { corruptSets } from '../../shared/committee.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { broadcastMessage } from '../../shared/protocol/broadcast/messages.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { agreementMessage } from '../../shared/protocol/session/messages.ts';
import { namingCodec, type SetupMessage, setupMessage } from '../../shared/protocol/setup/messages.ts';
import { digestOf, signStatement } from '../../shared/protocol/statement.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { checkKey } from '../simulator/key-check.ts';
import { type Delivery, type Rule, Simulation } from '../simulator/simulation.ts';
import { attackBoth } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;
const SETUP = 'shared/protocol/setup/setup.ts';
const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
const liar = partyId(4);
const ROUND_MS = 1000;

interface Setting {
  readonly n?: number;
  readonly t?: number;
  readonly rules?: readonly Rule[];
}

async function simulation(load: Load, { n = 4, t = 1, rules = [] }: Setting = {}) {
  const { Kernel: LoadedKernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { keygenFactory } = await load<typeof factoryModule>('test/simulator/committee-keys.ts');
  const factory = keygenFactory(await LoadedKernel.load());
  return new Simulation<KeyGeneration>({ n, t, seed: 's', rules, factory });
}

type Sim = Awaited<ReturnType<typeof simulation>>;

/** The setup message inside a delivery, if there is one. */
function setupIn(delivery: Delivery): SetupMessage | undefined {
  const message = decode(keygenMessage, delivery.message);
  return message.kind === 'setup' ? decode(setupMessage, message.body) : undefined;
}

/** Edits the setup messages that match. */
function editSetup(
  matches: (delivery: Delivery) => boolean,
  change: (message: SetupMessage) => readonly SetupMessage[],
): Rule {
  return (delivery) => {
    if (!matches(delivery)) return [delivery];
    const message = decode(keygenMessage, delivery.message);
    if (message.kind !== 'setup') return [delivery];
    return change(decode(setupMessage, message.body)).map((changed) => ({
      ...delivery,
      message: encode(keygenMessage, { ...message, body: encode(setupMessage, changed) }),
    }));
  };
}

const from = (party: PartyId) => (delivery: Delivery) => delivery.from === party;

async function expectKey(sim: Sim, honest: readonly PartyId[]): Promise<void> {
  sim.run(() => honest.every((party) => sim.machine(party)?.finished !== undefined), 300_000);
  checkKey(await Kernel.load(), sim, honest);
  for (const party of honest) expect(sim.machine(party)?.finished?.seeds).toBeDefined();
}

/** The liar broadcasts this instead of whom it lacks something of. */
function otherNaming(sim: Sim, value: Uint8Array): Rule {
  return (delivery) => {
    const message = decode(keygenMessage, delivery.message);
    if (delivery.from !== liar || message.kind !== 'setup') return [delivery];
    const inner = decode(setupMessage, message.body);
    if (inner.kind !== 'namings' || decode(broadcastMessage, inner.body).kind !== 'relay') return [delivery];
    const of = digestOf(nodePrimitives, value);
    const fields = [message.session, 'setup/namings', liar, of];
    const signature = signStatement(sim.membership(liar), 'broadcast/value', ...fields);
    const signatures = [{ party: liar, signature }];
    const relay = encode(broadcastMessage, { kind: 'relay', sender: liar, value, signatures });
    const body = encode(setupMessage, { kind: 'namings', body: relay });
    return [{ ...delivery, message: encode(keygenMessage, { ...message, body }) }];
  };
}

describe('seed setup', () => {
  test('setup: a dealer that opens to one holder only is healed by the other holders, and nobody names it', async () => {
    const outcome = await attackBoth(
      'no-asking',
      [
        {
          file: SETUP,
          find: 'effects.push(...this.#ask(nowMs), ...this.#name(nowMs));',
          replace: 'effects.push(...this.#name(nowMs));',
        },
      ],
      async (load) => {
        const named = new Set<PartyId>();
        const toOthers = (delivery: Delivery) => delivery.from === liar && delivery.to !== partyId(1);
        const rules: Rule[] = [
          editSetup(toOthers, (message) => (message.kind === 'contributions' ? [] : [message])),
          (delivery) => {
            const inner = setupIn(delivery);
            const broadcast = inner?.kind === 'namings' ? decode(broadcastMessage, inner.body) : undefined;
            if (broadcast?.kind === 'relay' && broadcast.sender !== liar)
              for (const dealer of decode(namingCodec, broadcast.value)) named.add(dealer);
            return [delivery];
          },
        ];
        const sim = await simulation(load, { rules });
        sim.start();
        await expectKey(sim, sim.committee.parties.slice(0, 3));
        return named.size > 0;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: values that do not open the commitments are never used', async () => {
    const outcome = await attackBoth(
      'unchecked-openings',
      [
        {
          file: 'shared/protocol/setup/contributions.ts',
          find: ' && commitments.isOpening(dealer, set, value))',
          replace: ')',
        },
      ],
      async (load) => {
        // Every holder gets a value of its own.
        const rules: Rule[] = [
          (delivery) =>
            editSetup(from(liar), (message) => {
              if (message.kind !== 'contributions' && message.kind !== 'answer') return [message];
              const values = message.values.map((one) => ({
                ...one,
                value: one.value.map((byte) => byte ^ delivery.to),
              }));
              return [{ ...message, values }];
            })(delivery),
        ];
        const sim = await simulation(load, { rules });
        sim.start();
        const honest = sim.committee.parties.slice(0, 3);
        const isMade = sim.run(
          () => honest.every((party) => sim.machine(party)?.finished !== undefined),
          60_000,
        );
        if (isMade) checkKey(await Kernel.load(), sim, honest);
        return !isMade;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: a dealer that opens to nobody is out, the key is made without it', async () => {
    const rules = [
      editSetup(from(liar), (message) =>
        message.kind === 'contributions' || message.kind === 'answer' ? [] : [message],
      ),
    ];
    const sim = await simulation(real, { rules });
    sim.start();
    await expectKey(sim, sim.committee.parties.slice(0, 3));
  });

  test('setup: a participant that goes silent after the agreement costs time, not the key', async () => {
    const sim = await simulation(real, { rules: [editSetup(from(liar), () => [])] });
    sim.start();
    await expectKey(sim, sim.committee.parties.slice(0, 3));
  });

  test('setup: a party that sees all namings too late adopts the certified transcript and gets its seeds', async () => {
    const late = partyId(3);
    const rules: Rule[] = [
      (delivery) => {
        if (delivery.to !== late || setupIn(delivery)?.kind !== 'namings') return [delivery];
        return [{ ...delivery, atMs: delivery.atMs + 60 * ROUND_MS }];
      },
    ];
    const sim = await simulation(real, { rules });
    sim.start();
    await expectKey(sim, sim.committee.parties);
  });

  test('setup: who is not a holder of a set never gets a value of it, whatever it asks', async () => {
    const outcome = await attackBoth(
      'answer-anyone',
      [
        {
          file: 'shared/protocol/setup/contributions.ts',
          find: 'return allowed.has(set) && value !== undefined',
          replace: 'return value !== undefined',
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { rules });
        const ownSet = corruptSets(sim.committee).findIndex((set) => set.includes(liar));
        const leaked = new Set<PartyId>();
        // The liar asks every holder for everybody's values of its own set, again and again.
        rules.push((delivery) => {
          const message = decode(keygenMessage, delivery.message);
          if (message.kind !== 'setup') return [delivery];
          const inner = decode(setupMessage, message.body);
          if (delivery.to === liar && (inner.kind === 'answer' || inner.kind === 'contributions')) {
            const dealer = inner.kind === 'answer' ? inner.dealer : delivery.from;
            if (inner.values.some(({ set }) => set === ownSet)) leaked.add(dealer);
          }
          if (delivery.from !== liar || inner.kind !== 'namings') return [delivery];
          const asks = sim.committee.parties.map((dealer) => ({
            ...delivery,
            message: encode(keygenMessage, {
              ...message,
              body: encode(setupMessage, { kind: 'ask', dealer, sets: [ownSet] }),
            }),
          }));
          return [...asks, delivery];
        });
        sim.start();
        sim.run(
          () => sim.committee.parties.every((party) => sim.machine(party)?.finished !== undefined),
          120_000,
        );
        // With the values of all honest dealers the liar has k_T.
        return sim.committee.parties.filter((party) => party !== liar).every((dealer) => leaked.has(dealer));
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: no value is opened before the commitments of all are fixed', async () => {
    const outcome = await attackBoth(
      'open-early',
      [
        {
          file: SETUP,
          find: "return [...this.#wrap('commitments', sent), ...this.#advance(nowMs)];",
          replace:
            "return [...this.#wrap('commitments', sent), ...this.#others.map((to) => this.#send(to, { kind: 'contributions', values: this.#store.owed(to) }))];",
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { rules });
        let seenBeforeCommitting = false;
        let committed = false;
        // The liar holds its commitment back for as long as it counts and watches for values.
        rules.push((delivery) => {
          const inner = setupIn(delivery);
          if (delivery.to === liar && inner?.kind === 'contributions' && !committed)
            seenBeforeCommitting = true;
          if (delivery.from === liar && inner?.kind === 'commitments') {
            committed = sim.nowMs > 1_000_000 + 2 * ROUND_MS;
            return [{ ...delivery, atMs: delivery.atMs + ROUND_MS - 100 }];
          }
          return [delivery];
        });
        sim.start();
        sim.run(() => false, 900);
        return seenBeforeCommitting;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: no share leaves under a transcript that n - t parties have not signed', async () => {
    const outcome = await attackBoth(
      'uncertified',
      [
        {
          file: SETUP,
          find: 'if (this.#seeds === undefined || certificate?.statement !== this.#transcript?.digest) return undefined;\n    return certificate && { transcript: certificate.statement, certificate, seeds: this.#seeds };',
          replace:
            'if (this.#seeds === undefined || this.#transcript === undefined) return undefined;\n    return { transcript: this.#transcript.digest, certificate: certificate!, seeds: this.#seeds };',
        },
      ],
      async (load) => {
        let shares = 0;
        // Two parties withhold their transcript signatures: only two of the three needed are there.
        const withheld = [partyId(3), liar];
        const rules: Rule[] = [
          (delivery) => {
            if (decode(keygenMessage, delivery.message).kind === 'share') shares++;
            const kind = setupIn(delivery)?.kind;
            const isHeld =
              withheld.includes(delivery.from) && (kind === 'signature' || kind === 'certificate');
            return isHeld ? [] : [delivery];
          },
          (delivery) =>
            withheld.includes(delivery.from) && decode(keygenMessage, delivery.message).kind === 'share'
              ? []
              : [delivery],
        ];
        const sim = await simulation(load, { rules });
        sim.start();
        sim.run(() => false, 2 * ROUND_MS);
        // Parties 3 and 4 have all signatures themselves; what counts is that 1 and 2 send nothing.
        return (
          [partyId(1), partyId(2)].some(
            (party) => (sim.machine(party)?.progress.phase ?? '') === 'opening key elements',
          ) && shares > 0
        );
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: a party that names all honest dealers falsely has named nobody out', async () => {
    const outcome = await attackBoth(
      'false-naming',
      [
        {
          file: 'shared/protocol/setup/transcript.ts',
          find: 'return outside + namers <= of.t;',
          replace: 'return outside + namers < of.t;',
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { rules });
        const honest = sim.committee.parties.slice(0, 3);
        rules.push(otherNaming(sim, encode(namingCodec, honest)));
        sim.start();
        sim.run(() => honest.every((party) => sim.machine(party)?.finished !== undefined), 60_000);
        return honest.some((party) => sim.machine(party)?.finished?.record.attempt !== 0);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: a naming that is longer than a naming can be costs its sender its word, and nobody the key', async () => {
    const outcome = await attackBoth(
      'oversized-naming',
      [
        {
          file: 'shared/protocol/broadcast/broadcast.ts',
          find: 'if (relay.value.length > this.#terms.maxValueBytes) return [];',
          replace: '',
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { rules });
        rules.push(otherNaming(sim, new Uint8Array(2000)));
        sim.start();
        const honest = sim.committee.parties.slice(0, 3);
        sim.run(() => honest.every((party) => sim.machine(party)?.finished !== undefined), 60_000);
        return honest.some((party) => sim.machine(party)?.finished?.record.attempt !== 0);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('setup: garbage that comes before the proposal does not keep a party from joining durably', async () => {
    const starter = partyId(1);
    const victim = partyId(2);
    const outcome = await attackBoth(
      'early-garbage',
      [
        {
          file: 'shared/protocol/keygen/keygen.ts',
          find: 'this.#forgeries.hear(from, nowMs, () => this.#guard(nowMs, receive))',
          replace: 'this.#forgeries.hear(from, nowMs, receive)',
        },
      ],
      async (load) => {
        let commitments = 0;
        const rules: Rule[] = [
          (delivery) => {
            const message = decode(keygenMessage, delivery.message);
            const inner = setupIn(delivery);
            if (delivery.from === victim && inner?.kind === 'commitments') commitments++;
            if (delivery.to !== victim) return [delivery];
            const isProposal =
              message.kind === 'agreement' && decode(agreementMessage, message.body).kind === 'proposal';
            if (isProposal) return [{ ...delivery, atMs: delivery.atMs + 100 }];
            if (delivery.from !== starter || message.kind !== 'setup') return [delivery];
            const garbage = encode(keygenMessage, { ...message, body: new Uint8Array([99]) });
            return [{ ...delivery, message: garbage }];
          },
        ];
        const sim = await simulation(load, { rules });
        sim.start();
        sim.run(() => sim.machine(victim)?.progress.phase === 'setting up seeds', 10_000);
        sim.run(() => false, 200);
        const isDurable = [...sim.disk(victim).keys()].some((name) => name.endsWith('/request'));
        return !isDurable && commitments === 0;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
