import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { type Digest, digest, type PartyId } from '../../shared/ids.ts';
import type * as broadcastModule from '../../shared/protocol/broadcast/broadcast.ts';
import {
  type BroadcastMessage,
  broadcastMessage,
  type PartySignature,
} from '../../shared/protocol/broadcast/messages.ts';
import { digestOf, signStatement } from '../../shared/protocol/statement.ts';
import { utf8 } from '../../shared/wire/bytes.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import { BroadcastMachine } from '../simulator/broadcast-machine.ts';
import { calmNetwork, type Network, type Rule, roughNetwork, Simulation } from '../simulator/simulation.ts';
import { attackBoth } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;
const SOURCE = 'shared/protocol/broadcast/broadcast.ts';
const real: Load = (file) => import(/* @vite-ignore */ `../../${file}`);
const session = digest('55'.repeat(32));
const step = 'test';
const START_MS = 1_000_000;
const ROUND_MS = 1000;

interface Setting {
  readonly n: number;
  readonly t: number;
  readonly seed?: string;
  readonly rules?: readonly Rule[];
  readonly network?: Network;
}

async function simulation(load: Load, { n, t, seed = 'b', rules = [], network = calmNetwork }: Setting) {
  const { Broadcast } = await load<typeof broadcastModule>(SOURCE);
  return new Simulation<BroadcastMachine>({
    n,
    t,
    seed,
    rules,
    network,
    factory(membership) {
      const participants = membership.committee.parties;
      const terms = {
        session,
        step,
        participants,
        startMs: START_MS,
        roundMs: ROUND_MS,
        maxValueBytes: 1 << 20,
      };
      return new BroadcastMachine(
        membership,
        new Broadcast(membership, terms),
        utf8(`value ${membership.self}`),
      );
    },
  });
}

type Sim = Awaited<ReturnType<typeof simulation>>;

/** Outcomes of the given parties as text, after everything has ended. */
function outcomes(sim: Sim, honest: readonly PartyId[]): string[] {
  sim.run(() => false, 20 * ROUND_MS);
  return honest.map((party) => {
    const outcome = sim.machine(party)?.broadcast.outcome;
    if (outcome === undefined) return 'none';
    return [...outcome]
      .map(([, value]) => (value === undefined ? '-' : Buffer.from(value).toString()))
      .join('|');
  });
}

function signedBy(sim: Sim, party: PartyId, domain: string, ...fields: (string | number)[]): PartySignature {
  return { party, signature: signStatement(sim.membership(party), domain, session, step, ...fields) };
}

/** A second value of `sender`, signed by it and the given accomplices. */
function secondValue(sim: Sim, sender: PartyId, signers: readonly PartyId[]): Uint8Array {
  const value = utf8('another value');
  const of: Digest = digestOf(nodePrimitives, value);
  const signatures = signers.map((party) => signedBy(sim, party, 'broadcast/value', sender, of));
  return encode(broadcastMessage, { kind: 'relay', sender, value, signatures });
}

describe('broadcast', () => {
  test('broadcast: all honest parties end with every value, in one message delay after the views', async () => {
    const sim = await simulation(real, { n: 7, t: 2 });
    sim.start();
    const ended = sim.run(() =>
      sim.committee.parties.every((p) => sim.machine(p)?.broadcast.outcome !== undefined),
    );
    expect(ended).toBe(true);
    expect(sim.nowMs - START_MS).toBeLessThan(ROUND_MS);
    const [first, ...rest] = outcomes(sim, sim.committee.parties);
    expect(first).toBe(sim.committee.parties.map((p) => `value ${p}`).join('|'));
    expect(new Set(rest)).toEqual(new Set([first]));
  });

  test.each(['a', 'b', 'c', 'd'])('broadcast: agreement on a rough network (seed %s)', async (seed) => {
    const network = { ...roughNetwork, maxLatencyMs: 500, retryMs: 300 };
    const sim = await simulation(real, { n: 7, t: 2, seed, network });
    sim.start();
    expect(new Set(outcomes(sim, sim.committee.parties)).size).toBe(1);
  });

  test('broadcast: a silent sender fails, everybody else succeeds, after round t + 3', async () => {
    const sim = await simulation(real, { n: 4, t: 1 });
    const [silent, ...honest] = sim.committee.parties;
    sim.start(honest);
    const all = outcomes(sim, honest);
    expect(new Set(all)).toEqual(new Set(['-|value 2|value 3|value 4']));
    expect(silent).toBe(1);
  });

  test('broadcast: a sender that tells two stories fails for everybody', async () => {
    const rules: Rule[] = [];
    const sim = await simulation(real, { n: 4, t: 1, rules });
    const [liar, ...honest] = sim.committee.parties;
    if (liar === undefined) throw new Error('no liar');
    const other = secondValue(sim, liar, [liar]);
    rules.push((delivery) => {
      if (delivery.from !== liar || delivery.to !== honest[0]) return [delivery];
      const message = decode(broadcastMessage, delivery.message);
      return message.kind === 'relay' && message.sender === liar
        ? [{ ...delivery, message: other }]
        : [delivery];
    });
    sim.start();
    expect(new Set(outcomes(sim, honest))).toEqual(new Set(['-|value 2|value 3|value 4']));
  });

  test('broadcast: a relay with too few signatures for its round counts for nothing', async () => {
    const outcome = await attackBoth(
      'late-relay',
      [{ file: SOURCE, find: '|| relay.signatures.length < round', replace: '' }],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { n: 7, t: 2, rules });
        const [liar, accomplice, ...honest] = sim.committee.parties as [PartyId, PartyId, ...PartyId[]];
        // The liar stays silent and its accomplice withholds its view, so that nobody ends early.
        rules.push((delivery) => (delivery.from === liar || delivery.from === accomplice ? [] : [delivery]));
        const late = secondValue(sim, liar, [liar]);
        const target = honest[0] ?? liar;
        // In the last moment of round t + 1 one party hears a value that nobody else will extract.
        sim.inject({ from: liar, to: target, message: late, atMs: START_MS + 3 * ROUND_MS - 1 });
        sim.start();
        return new Set(outcomes(sim, honest)).size > 1;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: stopping on equal views without forwarding the certificate would split honest parties', async () => {
    const outcome = await attackBoth(
      'early-stop',
      [
        {
          file: SOURCE,
          find: "return [encode(broadcastMessage, { kind: 'certificate', view, views, relays })];",
          replace: 'return [];',
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { n: 7, t: 2, rules });
        const [liar, accomplice, ...honest] = sim.committee.parties as [PartyId, PartyId, ...PartyId[]];
        const corrupt = [liar, accomplice];
        const favoured = honest[0] ?? liar;
        // Only one honest party sees the corrupt parties' views; they forward nothing.
        rules.push((delivery) => {
          if (!corrupt.includes(delivery.from)) return [delivery];
          const { kind } = decode(broadcastMessage, delivery.message);
          if (kind === 'certificate') return [];
          return kind === 'relay' || delivery.to === favoured ? [delivery] : [];
        });
        sim.start();
        // Everybody else then learns that the liar told two stories.
        const message = secondValue(sim, liar, corrupt);
        for (const to of honest.slice(1)) {
          sim.inject({ from: accomplice, to, message, atMs: START_MS + ROUND_MS + 500 });
        }
        return new Set(outcomes(sim, honest)).size > 1;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a bare certificate in the last round would split honest parties', async () => {
    const outcome = await attackBoth(
      'late-certificate',
      [{ file: SOURCE, find: ' && relays.length >= round - 2', replace: '' }],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { n: 7, t: 2, rules });
        const [liar, accomplice, ...honest] = sim.committee.parties as [PartyId, PartyId, ...PartyId[]];
        const corrupt = [liar, accomplice];
        const views = new Map<PartyId, PartySignature>();
        let view: Digest | undefined;
        // The corrupt parties take part in round 1, collect all views and show nobody their own.
        rules.push((delivery) => {
          const message: BroadcastMessage = decode(broadcastMessage, delivery.message);
          if (message.kind === 'view') {
            view = message.view;
            views.set(delivery.from, { party: delivery.from, signature: message.signature });
          }
          return corrupt.includes(delivery.from) && message.kind !== 'relay' ? [] : [delivery];
        });
        sim.start();
        const second = secondValue(sim, liar, corrupt);
        for (const to of honest)
          sim.inject({ from: liar, to, message: second, atMs: START_MS + ROUND_MS + 500 });
        // In the last moment of round t + 3 one of them shows the certificate to one honest party.
        const lastMs = START_MS + 5 * ROUND_MS - 2;
        sim.at(lastMs - 1, () => {
          if (view === undefined) throw new Error('no view was signed');
          const of = view;
          const relays = corrupt.map((party) => signedBy(sim, party, 'broadcast/relayed-view', of));
          const certificate: BroadcastMessage = {
            kind: 'certificate',
            view: of,
            views: [...views.values()],
            relays,
          };
          const message = encode(broadcastMessage, certificate);
          sim.inject({ from: liar, to: honest[0] ?? liar, message, atMs: lastMs });
        });
        return new Set(outcomes(sim, honest)).size > 1;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a signature of another step is worth nothing', async () => {
    const outcome = await attackBoth(
      'step-unbound',
      [
        {
          file: SOURCE,
          find: "return signStatement(this.#membership, 'broadcast/value', session, step, sender, value);",
          replace: "return signStatement(this.#membership, 'broadcast/value', session, sender, value);",
        },
        {
          file: SOURCE,
          find: 'isSigned(this.#membership, one.party, one.signature, domain, session, step, ...fields)',
          replace:
            "(domain === 'broadcast/value' ? isSigned(this.#membership, one.party, one.signature, domain, session, ...fields) : isSigned(this.#membership, one.party, one.signature, domain, session, step, ...fields))",
        },
      ],
      async (load) => {
        const { Broadcast } = await load<typeof broadcastModule>(SOURCE);
        const sim = await simulation(load, { n: 4, t: 1 });
        const [liar, victim, ...others] = sim.committee.parties as [PartyId, PartyId, ...PartyId[]];
        const participants = sim.committee.parties;
        const terms = { session, step: 'other', participants, startMs: START_MS, roundMs: ROUND_MS };
        // What the victim says in another step of the session, the liar says again in this one.
        const elsewhere = new Broadcast(sim.membership(victim), { ...terms, maxValueBytes: 100 });
        const [message] = elsewhere.propose(utf8('said elsewhere'), START_MS);
        if (message === undefined) throw new Error('nothing was said');
        for (const to of others) sim.inject({ from: liar, to, message, atMs: START_MS + 1 });
        sim.start();
        return outcomes(sim, others).some((one) => !one.includes('value 2'));
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a signature that passes on the value of another is not the value of its signer', async () => {
    const outcome = await attackBoth(
      'sender-unbound',
      [
        {
          file: SOURCE,
          find: "return signStatement(this.#membership, 'broadcast/value', session, step, sender, value);",
          replace: "return signStatement(this.#membership, 'broadcast/value', session, step, value);",
        },
        {
          file: SOURCE,
          find: "this.#areSigned(relay.signatures, 'broadcast/value', relay.sender, digest)",
          replace: "this.#areSigned(relay.signatures, 'broadcast/value', digest)",
        },
      ],
      async (load) => {
        const rules: Rule[] = [];
        const sim = await simulation(load, { n: 7, t: 2, rules });
        const [liar, accomplice, victim, ...others] = sim.committee.parties as [
          PartyId,
          PartyId,
          PartyId,
          ...PartyId[],
        ];
        // The victim alone hears the liar's value and passes it on in round 2; the accomplice shows no view.
        rules.push((delivery) => {
          const message = decode(broadcastMessage, delivery.message);
          if (delivery.from === accomplice && message.kind !== 'relay') return [];
          if (delivery.from === liar && message.kind !== 'relay') return [];
          if (delivery.from === liar && delivery.to !== victim) return [];
          const isPassedOn = delivery.from === victim && message.kind === 'relay' && message.sender === liar;
          if (!isPassedOn) return [delivery];
          const own = message.signatures.filter((one) => one.party === victim);
          const second = message.signatures.filter((one) => one.party === liar);
          const forged: BroadcastMessage = { ...message, sender: victim, signatures: [...own, ...second] };
          return [delivery, { ...delivery, from: accomplice, message: encode(broadcastMessage, forged) }];
        });
        sim.start();
        return outcomes(sim, others).some((one) => !one.includes('value 3'));
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('broadcast: a value counts with the signature of its sender only', async () => {
    const outcome = await attackBoth(
      'unsigned-by-sender',
      [
        {
          file: SOURCE,
          find: 'if (!relay.signatures.some((one) => one.party === relay.sender)) return [];',
          replace: '',
        },
      ],
      async (load) => {
        const sim = await simulation(load, { n: 4, t: 1 });
        const [liar, victim, ...others] = sim.committee.parties as [PartyId, PartyId, ...PartyId[]];
        const message = secondValue(sim, victim, [liar]);
        for (const to of others) sim.inject({ from: liar, to, message, atMs: START_MS + 1 });
        sim.start();
        return outcomes(sim, others).some((one) => !one.includes('value 2'));
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });
});
