import { afterEach, describe, expect, it, vi } from 'vitest';
import { ResultSigner } from '../../../enclave/membership/result-signer.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { committee } from '../../../shared/committee.ts';
import { digest, partyId } from '../../../shared/ids.ts';
import type * as Records from '../../../shared/membership/incarnation.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { measurement } from '../../simulator/network.ts';
import { memberships } from '../../simulator/simulation.ts';
import { attackBoth } from '../mutant.ts';
import { allIn, eventually, type LiveNode, LiveNodes, pause, peersOf, phaseOf } from './live-nodes.ts';

const OWN = 'enclave/membership/own-incarnation.ts';
const PEERS = 'enclave/membership/peer-incarnations.ts';
const RECORDS = 'shared/membership/incarnation.ts';
type Own = typeof import('../../../enclave/membership/own-incarnation.ts');
type Peers = typeof import('../../../enclave/membership/peer-incarnations.ts');

let live: LiveNodes | undefined;
let others: LiveNode[] = [];
afterEach(async () => {
  await live?.closeAll(others);
  live = undefined;
  others = [];
});

const refused = { code: 'UNAVAILABLE' };
const requestId = systemRng(32);
const envelope = new Uint8Array(1);
const userKey = new Uint8Array(1216);
const signal = new AbortController().signal;

async function expectSilent({ node, direct }: LiveNode): Promise<void> {
  await expect(direct.generateKey(requestId, 'test-4096', signal)).rejects.toMatchObject(refused);
  await expect(direct.decrypt(envelope, signal)).rejects.toMatchObject(refused);
  await expect(direct.userDecrypt(requestId, envelope, userKey)).rejects.toMatchObject(refused);
  await expect(node.listKeys()).rejects.toMatchObject(refused);
}

describe('whole nodes', () => {
  it('boot: four nodes become ready and enrol each other; before that they serve nothing', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    for (const { node } of live.all) expect(await node.listKeys()).toEqual([]);
    await eventually(async () =>
      (await Promise.all(live!.all.map(({ node }) => node.describe()))).every(
        ({ enrolment }) => enrolment !== undefined,
      ),
    );
  });

  it('boot: a node that starts again alone waits for what others keep for it, and serves nothing', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    const [first, second, third, fourth] = live.all;
    for (const each of [first!, second!, third!, fourth!]) await live.close(each);
    const alone = await live.again(first!);
    others.push(alone);
    await pause(300);
    expect(await phaseOf(alone)).toBe('boot');
    await expectSilent(alone);
  });

  it('boot: all nodes start again at once: none of them needs one that has unsealed', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    for (const each of live.all) await live.close(each);
    const again = await Promise.all(live.all.map((each) => live!.again(each)));
    others.push(...again);
    await allIn('ready', again);
    for (const [i, { node }] of again.entries()) {
      const { identity } = live.chain.newest.signed.configuration.members[i]!;
      expect((await node.describe()).identity).toEqual(identity);
    }
  });

  it('boot: what others say to a node that still reads its state is not lost', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    const fourth = live.all[3]!;
    await live.close(fourth);
    // A bucket that is slow with the first record that is read after the node has connected.
    const open = ResultSigner.open.bind(ResultSigner);
    const slow = vi.spyOn(ResultSigner, 'open').mockImplementationOnce(async (store) => {
      await pause(1_500);
      return open(store);
    });
    try {
      const again = await live.again(fourth);
      others.push(again);
      await allIn('unseal', [again]);
      // Time enough for all of them to connect and to speak.
      await pause(700);
      await expectSilent(again);
      expect(await phaseOf(again)).toBe('unseal');
      await allIn('ready', [again]);
      await eventually(async () => (await peersOf(again)).length === 3);
      expect(slow).toHaveBeenCalledOnce();
    } finally {
      slow.mockRestore();
    }
  });

  it('boot: a founding that nobody answers waits and serves nothing', async () => {
    live = await LiveNodes.start(new Map([2, 3, 4].map((i) => [i, { measurement: measurement(20) }])));
    await pause(500);
    expect(await phaseOf(live.all[0]!)).toBe('founding');
    await expectSilent(live.all[0]!);
  });

  it('clone: the older of two living incarnations is superseded, and only the newer one is a peer', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    // Every change of its state is behind the original: a clone with an older one would only recover.
    await eventually(async () =>
      (await Promise.all(live!.all.map(({ node }) => node.describe()))).every(
        ({ enrolment }) => enrolment !== undefined,
      ),
    );
    const [original, ...peers] = live.all;
    const clone = await live.again(original!, original!.cloud.copy());
    others.push(clone);
    await allIn('ready', [clone]);
    await eventually(async () => original!.superseded);
    expect(await phaseOf(original!)).toBe('superseded');
    await expectSilent(original!);
    expect(await peersOf(original!)).toEqual([]);
    for (const peer of peers) await eventually(async () => (await peersOf(peer)).includes(1));
    expect(await phaseOf(clone)).toBe('ready');
    expect(clone.superseded).toBe(false);
    expect(peers.some(({ superseded }) => superseded)).toBe(false);
  });

  it('clone: a disk put back to an older state continues above what the peers remember', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    // Every change of their states is behind them: what two more boots change is tier 1 alone.
    await eventually(async () =>
      (await Promise.all(live!.all.map(({ node }) => node.describe()))).every(
        ({ enrolment }) => enrolment !== undefined,
      ),
    );
    await pause(500);
    const [first] = live.all;
    const old = first!.cloud.copy();
    // Two more boots that the old disk knows nothing of.
    let current = first!;
    for (let boot = 0; boot < 2; boot++) {
      await live.close(current);
      current = await live.again(current);
      others.push(current);
      await allIn('ready', [current]);
    }
    await live.close(current);
    const rolledBack = await live.again(current, old);
    others.push(rolledBack);
    await allIn('ready', [rolledBack]);
    expect(rolledBack.log.some(({ event }) => event === 'incarnation-renumbered')).toBe(true);
    expect(rolledBack.superseded).toBe(false);
  });

  it('rollback: a bucket of an older state stops its node, which says why and still gives others their shares', async () => {
    live = await LiveNodes.start();
    const [first, second, ...peers] = live.all;
    await eventually(async () => (await phaseOf(first!)) === 'ready');
    const old = first!.cloud.copy();
    await allIn('ready', live.all);
    await eventually(async () => (await first!.node.describe()).enrolment !== undefined);
    await pause(300);
    await live.close(first!);
    const before = [...old.objects.objects.keys()].filter((key) => key.startsWith('tier-2/manifests/'));
    const now = [...first!.cloud.objects.objects.keys()].filter((key) => key.startsWith('tier-2/manifests/'));
    expect(now.at(-1)! > before.at(-1)!).toBe(true);
    const rolledBack = await live.again(first!, old);
    others.push(rolledBack);
    await eventually(async () => (await phaseOf(rolledBack)) === 'recover');
    expect((await rolledBack.node.describe()).reason).toMatch(/not in the bucket|later state/);
    await expectSilent(rolledBack);
    // Another one starts again while one of the other two is away: it needs the shares of the one that has stopped.
    await live.close(second!);
    await live.close(peers[0]!);
    const again = await live.again(second!);
    others.push(again);
    await eventually(async () => again.log.some(({ event, step }) => event === 'phase' && step === 'unseal'));
  });

  it('foreign image: no peer acknowledges it, and it stays where it is', async () => {
    live = await LiveNodes.start(new Map([[2, { measurement: measurement(20) }]]));
    const [first, foreign, third, fourth] = live.all;
    await allIn('ready', [first!, third!, fourth!]);
    await pause(300);
    expect(await phaseOf(foreign!)).toBe('founding');
    expect(await peersOf(foreign!)).toEqual([]);
    for (const each of [first!, third!, fourth!]) expect(await peersOf(each)).not.toContain(2);
    await expectSilent(foreign!);
  });

  it('clock: a node that is minutes off does not get ready; the others do', async () => {
    live = await LiveNodes.start(new Map([[4, { clockOffsetMs: () => -120_000 }]]));
    const [first, second, third, off] = live.all;
    await allIn('ready', [first!, second!, third!]);
    await pause(500);
    // To it all their documents are of the future: it hears nobody, and nobody keeps its halves.
    expect(await phaseOf(off!)).toBe('founding');
    await expectSilent(off!);
  });

  it('clock: a node whose clock goes wrong decrypts for no user until it is right again; nobody else is touched', async () => {
    let offsetMs = 0;
    live = await LiveNodes.start(new Map([[4, { clockOffsetMs: () => offsetMs }]]));
    const [first, second, third, off] = live.all;
    await allIn('ready', live.all);
    offsetMs = 180_000;
    await allIn('degraded', [off!]);
    await expect(off!.direct.userDecrypt(requestId, envelope, userKey)).rejects.toMatchObject(refused);
    // Everything else is served: what is wrong here is the envelope.
    await expect(off!.direct.decrypt(envelope, signal)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    await pause(300);
    await allIn('ready', [first!, second!, third!]);
    offsetMs = 0;
    await allIn('ready', [off!]);
    await expect(off!.direct.userDecrypt(requestId, envelope, userKey)).rejects.toMatchObject({
      code: 'BAD_ENCODING',
    });
  });

  it('re-attestation: a stream whose peer stops showing documents is closed; others live on', async () => {
    const vigil = { renewMs: 250, expireMs: 5_000, repeatMs: 200, answerMs: 0 };
    const timing = { tickMs: 20, clockMs: 200, vigil };
    const mute = { tickMs: 20, clockMs: 200, vigil: { ...vigil, answerMs: 3_600_000 } };
    // The mute one answers the first question only.
    live = await LiveNodes.start(new Map([1, 2, 3, 4].map((i) => [i, { timing: i === 4 ? mute : timing }])));
    const [first] = live.all;
    await allIn('ready', live.all);
    const closedBy = (party: number): number =>
      first!.log.filter((line) => line.reason === 'attestation-expired' && line.party === party).length;
    await eventually(async () => closedBy(4) > 0);
    expect([closedBy(2), closedBy(3)]).toEqual([0, 0]);
    // They have shown new documents again and again by now, over the streams that they began with.
    const lost = first!.log.filter(({ event, party }) => event === 'peer-down' && party !== 4);
    expect(lost).toEqual([]);
  });
});

const all = memberships(committee(4, 1), 'incarnation-attacks');
const [one, two, three] = [1, 2, 3].map((i) => partyId(i)) as [Party, Party, Party];
type Party = ReturnType<typeof partyId>;
const key = (seed: number) => digest(seed.toString(16).padStart(2, '0').repeat(32));

describe('attack on incarnations', () => {
  it('incarnations: a liar inflates the number with a record of its own making', async () => {
    const edits = [
      {
        file: OWN,
        find: "if (!isIncarnation(this.#membership, highest)) return 'ignored';",
        replace: '',
      },
    ];
    const attack = await attackBoth('inflated', edits, async (load) => {
      const { OwnIncarnation } = await load<Own>(OWN);
      const own = await OwnIncarnation.open(all.get(one)!, new MemoryStore(), key(1));
      const forged = { party: one, number: 2 ** 31, tlsKey: key(9), signature: systemRng(64) };
      await own.refused(two, forged);
      return own.record.number > 1;
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('incarnations: an acknowledgement of an earlier boot is replayed', async () => {
    const edits = [
      {
        file: RECORDS,
        find: 'return [among.networkId, tupleHash(among.primitives, RECORD, ...recordFields(among, record))];',
        replace: 'return [among.networkId, record.party];',
      },
    ];
    const attack = await attackBoth('replayed', edits, async (load) => {
      const { OwnIncarnation } = await load<Own>(OWN);
      const { signAcknowledgement } = await load<typeof Records>(RECORDS);
      const store = new MemoryStore();
      const before = await OwnIncarnation.open(all.get(one)!, store, key(1));
      const replayed = [two, three].map(
        (party) => [party, signAcknowledgement(all.get(party)!, before.record)] as const,
      );
      const now = await OwnIncarnation.open(all.get(one)!, store, key(2));
      for (const [party, signature] of replayed) now.acknowledged(party, signature);
      return now.isAcknowledged;
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('incarnations: two clones with one number are both acknowledged by one peer', async () => {
    const edits = [
      {
        file: RECORDS,
        find: 'if (number === highest) return tlsKey === known?.tlsKey;',
        replace: 'if (number === highest) return tlsKey !== undefined;',
      },
    ];
    const attack = await attackBoth('one-number', edits, async (load) => {
      const { PeerIncarnations } = await load<Peers>(PEERS);
      const { signIncarnation } = await load<typeof Records>(RECORDS);
      const peers = await PeerIncarnations.open(all.get(two)!, new MemoryStore());
      const verdicts = await Promise.all(
        [1, 2].map((seed) => {
          const record = signIncarnation(all.get(one)!, 7, key(seed));
          return peers.take({ party: one, tlsKey: key(seed) }, record);
        }),
      );
      return verdicts.every(({ kind }) => kind === 'acknowledged');
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('incarnations: a peer passes on the record of a clone over its own stream', async () => {
    const edits = [
      {
        file: PEERS,
        find: 'record.party === from.party && record.tlsKey === from.tlsKey',
        replace: 'record.tlsKey !== undefined || from === undefined',
      },
    ];
    const attack = await attackBoth('passed-on', edits, async (load) => {
      const { PeerIncarnations } = await load<Peers>(PEERS);
      const { signIncarnation } = await load<typeof Records>(RECORDS);
      const peers = await PeerIncarnations.open(all.get(two)!, new MemoryStore());
      const record = signIncarnation(all.get(one)!, 7, key(1));
      // Party 3 has it from party 1 and would have party 2 believe that this boot is connected.
      await (async () => peers.take({ party: three, tlsKey: key(3) }, record))().catch(() => undefined);
      return peers.isCurrent(one, key(1));
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('incarnations: a peer that crashes between acknowledging and storing forgets', async () => {
    const edits = [
      {
        file: PEERS,
        find: 'await this.#store.put(nameOf(party), encode(incarnationCodec, record));',
        replace: 'void this.#store.put(nameOf(party), encode(incarnationCodec, record));',
      },
    ];
    const attack = await attackBoth('undurable', edits, async (load) => {
      const { PeerIncarnations } = await load<Peers>(PEERS);
      const { signIncarnation } = await load<typeof Records>(RECORDS);
      const store = new MemoryStore();
      // The crash comes before the disk has it.
      store.put = () => new Promise(() => {});
      const peers = await PeerIncarnations.open(all.get(two)!, store);
      const record = signIncarnation(all.get(one)!, 7, key(1));
      const taken = peers.take({ party: one, tlsKey: key(1) }, record);
      return Promise.race([taken.then(() => true), pause(50).then(() => false)]);
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });
});
