import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { OwnIncarnation } from '../../../enclave/membership/own-incarnation.ts';
import { PeerIncarnations } from '../../../enclave/membership/peer-incarnations.ts';
import { committee } from '../../../shared/committee.ts';
import { type Digest, digest, type PartyId, partyId } from '../../../shared/ids.ts';
import {
  type Incarnation,
  isAcceptable,
  isAcknowledgement,
  isIncarnation,
  MAX_INCARNATION_JUMP,
  signAcknowledgement,
  signIncarnation,
} from '../../../shared/membership/incarnation.ts';
import type { Membership } from '../../../shared/protocol/machine.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { memberships } from '../../simulator/simulation.ts';

const all = memberships(committee(4, 1), 'incarnations');
const [one, two, three, four] = [1, 2, 3, 4].map((i) => partyId(i)) as [PartyId, PartyId, PartyId, PartyId];
const of = (party: PartyId): Membership => all.get(party)!;
const tls = (seed: number): Digest => digest(seed.toString(16).padStart(2, '0').repeat(32));
const record = (party: PartyId, number: number, seed: number): Incarnation =>
  signIncarnation(of(party), number, tls(seed));

describe('incarnation records', () => {
  it('incarnation: only its owner signs it, for this network, this number and this key', () => {
    const mine = record(one, 5, 1);
    expect(isIncarnation(of(two), mine)).toBe(true);
    const forged: readonly Incarnation[] = [
      { ...mine, number: 6 },
      { ...mine, tlsKey: tls(2) },
      { ...mine, party: two },
      { ...record(two, 5, 1), party: one },
    ];
    for (const each of forged) expect(isIncarnation(of(two), each)).toBe(false);
    const elsewhere = { ...of(two), networkId: digest('22'.repeat(32)) };
    expect(isIncarnation(elsewhere, mine)).toBe(false);
  });

  it('incarnation: an acknowledgement is for one record, of one member', () => {
    const mine = record(one, 5, 1);
    const signature = signAcknowledgement(of(two), mine);
    expect(isAcknowledgement(of(one), two, mine, signature)).toBe(true);
    expect(isAcknowledgement(of(one), three, mine, signature)).toBe(false);
    expect(isAcknowledgement(of(one), two, record(one, 6, 1), signature)).toBe(false);
    expect(isAcknowledgement(of(one), two, record(one, 5, 2), signature)).toBe(false);
  });

  it('incarnation: higher numbers are taken up to a jump, a number stands for one key', () => {
    const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    fc.assert(
      fc.property(number, number, fc.boolean(), (known, offered, sameKey) => {
        const before = known === 0 ? undefined : { ...record(one, 1, 1), number: known };
        const next = { ...record(one, 1, sameKey ? 1 : 2), number: offered };
        const jump = offered - known;
        const expected = jump === 0 ? sameKey && known !== 0 : jump > 0 && jump <= MAX_INCARNATION_JUMP;
        expect(isAcceptable(before, next)).toBe(expected);
      }),
    );
  });
});

describe('the records of peers', () => {
  let store: MemoryStore;
  let peers: PeerIncarnations;
  beforeEach(async () => {
    store = new MemoryStore();
    peers = await PeerIncarnations.open(of(two), store);
  });
  const give = (each: Incarnation) => peers.take({ party: each.party, tlsKey: each.tlsKey }, each);

  it('peer incarnations: what is acknowledged is durable first, and survives a restart', async () => {
    let durable = false;
    store.put = async (name, bytes) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await MemoryStore.prototype.put.call(store, name, bytes);
      durable = true;
    };
    const mine = record(one, 3, 1);
    const verdict = await give(mine);
    expect(durable).toBe(true);
    expect(verdict).toEqual({ kind: 'acknowledged', signature: signAcknowledgement(of(two), mine) });
    const again = await PeerIncarnations.open(of(two), store.copy());
    expect(again.highestOf(one)).toEqual(mine);
    expect(again.isCurrent(one, tls(1))).toBe(true);
    expect(again.isCurrent(one, tls(2))).toBe(false);
    expect(again.isCurrent(three, tls(1))).toBe(false);
  });

  it('peer incarnations: nothing is acknowledged that could not be stored', async () => {
    store.put = () => Promise.reject(new Error('disk full'));
    await expect(give(record(one, 3, 1))).rejects.toThrow('disk full');
    expect(peers.highestOf(one)).toBeUndefined();
    expect(peers.isCurrent(one, tls(1))).toBe(false);
  });

  it('peer incarnations: a lower number, and the same for another key, are refused with the highest record', async () => {
    const highest = record(one, 3, 1);
    await give(highest);
    for (const lower of [record(one, 2, 1), record(one, 3, 2)]) {
      expect(await give(lower)).toEqual({ kind: 'refused', highest });
    }
    expect(await give(highest)).toMatchObject({ kind: 'acknowledged' });
    const later = record(one, 4, 2);
    expect(await give(later)).toMatchObject({ kind: 'acknowledged' });
    expect(peers.highestOf(one)).toEqual(later);
  });

  it('peer incarnations: two processes that race for one number do not both get it', async () => {
    const verdicts = await Promise.all([give(record(one, 3, 1)), give(record(one, 3, 2))]);
    expect(verdicts.map(({ kind }) => kind)).toEqual(['acknowledged', 'refused']);
  });

  it('peer incarnations: a jump above the limit is refused', async () => {
    const far = record(one, MAX_INCARNATION_JUMP + 1, 1);
    expect(await give(far)).toEqual({ kind: 'refused', highest: undefined });
  });

  it('peer incarnations: a record that is not of the process at the other end is BAD_PEER', () => {
    const bad = { code: 'BAD_PEER' };
    const mine = record(one, 3, 1);
    const from = { party: one, tlsKey: tls(1) };
    expect(() => peers.take({ ...from, tlsKey: tls(2) }, mine)).toThrow(expect.objectContaining(bad));
    expect(() => peers.take({ ...from, party: three }, mine)).toThrow(expect.objectContaining(bad));
    expect(() => peers.take(from, { ...mine, number: 9 })).toThrow(expect.objectContaining(bad));
  });
});

describe('the own incarnation', () => {
  const acknowledge = (own: OwnIncarnation, ...from: readonly PartyId[]): void => {
    for (const party of from) own.acknowledged(party, signAcknowledgement(of(party), own.record));
  };

  it('own incarnation: every boot takes the next number, also one that nobody acknowledged', async () => {
    const store = new MemoryStore();
    for (let boot = 1; boot <= 3; boot++) {
      const own = await OwnIncarnation.open(of(one), store, tls(boot));
      expect(own.record).toMatchObject({ party: one, number: boot, tlsKey: tls(boot) });
    }
  });

  it('own incarnation: n - 1 - t different members acknowledge it, each once', async () => {
    const own = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
    acknowledge(own, two, two);
    own.acknowledged(three, signAcknowledgement(of(two), own.record));
    expect(own.isAcknowledged).toBe(false);
    acknowledge(own, four);
    expect(own.isAcknowledged).toBe(true);
  });

  it('own incarnation: after a rollback it goes above what a peer remembers, durably, and asks anew', async () => {
    const store = new MemoryStore();
    const own = await OwnIncarnation.open(of(one), store, tls(1));
    acknowledge(own, two);
    expect(await own.refused(three, record(one, 41, 9))).toBe('renumbered');
    expect(own.record.number).toBe(42);
    expect(own.isAcknowledged).toBe(false);
    acknowledge(own, three);
    expect(own.isAcknowledged).toBe(false);
    acknowledge(own, two);
    expect(own.isAcknowledged).toBe(true);
    expect((await OwnIncarnation.open(of(one), store, tls(2))).record.number).toBe(43);
  });

  it('own incarnation: a higher record ends it once it was acknowledged; before, of another that starts the greater key goes on', async () => {
    const early = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
    acknowledge(early, two);
    expect(await early.refused(two, record(one, 2, 9))).toBe('superseded');
    const greater = await OwnIncarnation.open(of(one), new MemoryStore(), tls(9));
    acknowledge(greater, two);
    expect(await greater.refused(two, record(one, 2, 1))).toBe('renumbered');
    // Also when the peer met it under an earlier number.
    const renumbered = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
    acknowledge(renumbered, two);
    expect(await renumbered.refused(three, record(one, 1, 9))).toBe('renumbered');
    expect(await renumbered.refused(two, record(one, 3, 9))).toBe('superseded');
    const ready = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
    acknowledge(ready, two, three);
    expect(await ready.refused(four, record(one, 2, 9))).toBe('superseded');
    for (const own of [early, ready]) {
      expect([own.isSuperseded, own.isAcknowledged]).toEqual([true, false]);
    }
  });

  it('own incarnation: the same number of another boot never ends it: it goes above', async () => {
    for (const acknowledging of [[two], [two, three]]) {
      const own = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
      acknowledge(own, ...acknowledging);
      expect(await own.refused(two, record(one, 1, 9))).toBe('renumbered');
      expect([own.record.number, own.isAcknowledged, own.isSuperseded]).toEqual([2, false, false]);
    }
  });

  it('own incarnation: refusals that prove nothing are ignored', async () => {
    const own = await OwnIncarnation.open(of(one), new MemoryStore(), tls(1));
    const lies = [
      undefined,
      { ...record(one, 2, 9), number: 60_000 },
      record(two, 60_000, 9),
      { ...record(two, 60_000, 9), party: one },
      record(one, 9, 1),
    ];
    for (const highest of lies) expect(await own.refused(two, highest)).toBe('ignored');
    expect(own.record.number).toBe(1);
    acknowledge(own, two, three);
    // Its own past.
    expect(await own.refused(four, record(one, 0, 9))).toBe('ignored');
    expect(own.isAcknowledged).toBe(true);
  });
});
