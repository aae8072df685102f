import { describe, expect, test } from 'vitest';
import { type PartyId, partyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import type { KeyRequest } from '../../shared/protocol/keygen/request.ts';
import { signShare } from '../../shared/protocol/opening/opening.ts';
import { decode, encode } from '../../shared/wire/codec.ts';
import { keygenFactory, testRequest } from '../simulator/committee-keys.ts';
import { checkKey } from '../simulator/key-check.ts';
import { type Network, type Rule, roughNetwork, Simulation } from '../simulator/simulation.ts';

const kernel = await Kernel.load();
const liar = partyId(4);

interface Setting {
  readonly n?: number;
  readonly t?: number;
  readonly seed?: string;
  readonly rules?: readonly Rule[];
  readonly request?: KeyRequest;
  readonly network?: Network;
}

function simulation({ n = 4, t = 1, seed = 'k', rules = [], request = testRequest, network }: Setting = {}) {
  const factory = keygenFactory(kernel, request);
  return new Simulation<KeyGeneration>({ n, t, seed, rules, factory, ...(network && { network }) });
}

type Sim = ReturnType<typeof simulation>;

const others = (sim: Sim, ...bad: PartyId[]): readonly PartyId[] =>
  sim.committee.parties.filter((party) => !bad.includes(party));

function finish(sim: Sim, honest: readonly PartyId[], forMs = 300_000): boolean {
  return sim.run(() => honest.every((party) => sim.machine(party)?.finished !== undefined), forMs);
}

/** Edits what one party sends. */
function edit(
  party: PartyId,
  change: (message: KeygenMessage, to: PartyId) => readonly KeygenMessage[],
): Rule {
  return (delivery) => {
    if (delivery.from !== party) return [delivery];
    const messages = change(decode(keygenMessage, delivery.message), delivery.to);
    return messages.map((message) => ({ ...delivery, message: encode(keygenMessage, message) }));
  };
}

describe('key generation', () => {
  test('keygen: four parties end with one certified key, shares of one secret and a matching public key', () => {
    const sim = simulation();
    sim.start();
    expect(finish(sim, sim.committee.parties)).toBe(true);
    checkKey(kernel, sim, sim.committee.parties);
  });

  test.each(['r1', 'r2', 'r3'])(
    'keygen: survives delays, loss, duplication and reordering (seed %s)',
    (seed) => {
      const sim = simulation({ seed, network: roughNetwork });
      sim.start();
      expect(finish(sim, sim.committee.parties)).toBe(true);
      checkKey(kernel, sim, sim.committee.parties);
    },
  );

  test('keygen: seven parties with two liars in the openings', () => {
    const rules: Rule[] = [];
    const sim = simulation({ n: 7, t: 2, rules });
    const liars = [partyId(2), partyId(6)];
    for (const one of liars) rules.push(edit(one, (message) => [wrongShare(sim, one, message, () => true)]));
    sim.start();
    const honest = others(sim, ...liars);
    expect(finish(sim, honest)).toBe(true);
    checkKey(kernel, sim, honest);
    sim.run(() => false, 5000);
    for (const party of honest) expect(sim.machine(party)?.culprits).toEqual(liars);
  });

  test.each(['public-key', 'relin-h0/0', 'relin-h1/1', 'relin-b/2', `galois/${3}/0`])(
    'keygen: a signed wrong share of %s changes nothing and names its party',
    (name) => {
      const rules: Rule[] = [];
      const sim = simulation({
        rules,
        request: { ...testRequest, galois: name.startsWith('galois') ? 'sum' : 'none' },
      });
      rules.push(edit(liar, (message) => [wrongShare(sim, liar, message, (one) => one === name)]));
      sim.start();
      const honest = others(sim, liar);
      expect(finish(sim, honest)).toBe(true);
      checkKey(kernel, sim, honest);
      // Shares that come after the key exists are still judged.
      sim.run(() => false, 5000);
      for (const party of honest) expect(sim.machine(party)?.culprits).toEqual([liar]);
    },
  );

  test('keygen: an unsigned wrong share names nobody', () => {
    const rules: Rule[] = [];
    const sim = simulation({ rules });
    rules.push(
      edit(liar, (message) => {
        if (message.kind === 'share') message.share[0] = (message.share[0] ?? 0n) ^ 1n;
        return [message];
      }),
    );
    sim.start();
    const honest = others(sim, liar);
    expect(finish(sim, honest)).toBe(true);
    checkKey(kernel, sim, honest);
    for (const party of honest) expect(sim.machine(party)?.culprits).toEqual([]);
  });

  test('keygen: a party that stalls in the openings delays nobody and is not a culprit', () => {
    const rules: Rule[] = [];
    const sim = simulation({ rules });
    rules.push(edit(liar, (message) => (message.kind === 'share' ? [] : [message])));
    sim.start();
    const honest = others(sim, liar);
    expect(finish(sim, honest)).toBe(true);
    checkKey(kernel, sim, honest);
    for (const party of honest) expect(sim.machine(party)?.culprits).toEqual([]);
  });

  test('keygen: a party that is down from the start is left out and the others finish', () => {
    const sim = simulation();
    const honest = others(sim, liar);
    sim.start(honest);
    expect(finish(sim, honest)).toBe(true);
    checkKey(kernel, sim, honest);
  });

  test('keygen: the first starter is down, the next attempt has another one and another key id', () => {
    const sim = simulation();
    const honest = others(sim, partyId(1));
    sim.start(honest);
    expect(finish(sim, honest)).toBe(true);
    const { record } = checkKey(kernel, sim, honest);
    expect(record.attempt).toBe(1);
  });

  test('keygen: one party below the quorum ends without a key and without a certificate on any disk', () => {
    const sim = simulation();
    sim.start([partyId(1), partyId(2)]);
    expect(finish(sim, [partyId(1)], 60_000)).toBe(false);
    for (const party of [partyId(1), partyId(2)]) {
      expect([...sim.disk(party).keys()].filter((name) => name.endsWith('/certificate'))).toEqual([]);
    }
  });

  test('keygen: duplicates, garbage, other sessions and oversized messages change nothing', () => {
    const rules: Rule[] = [];
    const sim = simulation({ rules });
    rules.push((delivery) => {
      if (delivery.from !== liar) return [delivery];
      const foreign = retarget(decode(keygenMessage, delivery.message));
      const garbage = delivery.message.slice(0, delivery.message.length - 1);
      const padded = new Uint8Array([...delivery.message.subarray(0, 4000), 1]);
      return [
        delivery,
        delivery,
        { ...delivery, message: foreign },
        { ...delivery, message: garbage },
      ].concat({
        ...delivery,
        message: padded,
      });
    });
    sim.start();
    expect(finish(sim, sim.committee.parties)).toBe(true);
    checkKey(kernel, sim, sim.committee.parties);
  });
});

/** The same share with one residue changed, signed again by its party: a provable lie. */
function wrongShare(
  sim: Sim,
  party: PartyId,
  message: KeygenMessage,
  matches: (name: string) => boolean,
): KeygenMessage {
  if (message.kind !== 'share' || !matches(message.name)) return message;
  const share = message.share.slice();
  share[17] = share[17] === 0n ? 1n : (share[17] ?? 1n) - 1n;
  const scope = { scope: message.session, name: message.name };
  return { ...message, share, signature: signShare(sim.membership(party), scope, share) };
}

/** A message moved to another session. */
function retarget(message: KeygenMessage): Uint8Array {
  if (!('session' in message)) return encode(keygenMessage, message);
  return encode(keygenMessage, { ...message, session: testRequest.request });
}
