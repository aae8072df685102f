import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type * as OwnFile from '../../../enclave/membership/own-incarnation.ts';
import type * as PeersFile from '../../../enclave/membership/peer-incarnations.ts';
import { committee } from '../../../shared/committee.ts';
import { type Digest, digest, type PartyId, partyId } from '../../../shared/ids.ts';
import type { Incarnation } from '../../../shared/membership/incarnation.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { seededRng } from '../../simulator/random.ts';
import { memberships } from '../../simulator/simulation.ts';
import { attackBoth, type Edit } from '../mutant.ts';
import { allIn, eventually, type LiveNode, LiveNodes, phaseOf } from './live-nodes.ts';

const OWN = 'enclave/membership/own-incarnation.ts';
const PEERS = 'enclave/membership/peer-incarnations.ts';
type Load = <Module>(file: string) => Promise<Module>;

const all = memberships(committee(4, 1), 'clones');
const one = partyId(1);
const peersOfOne = [2, 3, 4].map((i) => partyId(i));

type Message =
  | { readonly kind: 'record'; readonly record: Incarnation }
  | { readonly kind: 'acknowledged'; readonly signature: Uint8Array }
  | { readonly kind: 'refused'; readonly highest: Incarnation | undefined };

interface Ending {
  readonly superseded: number;
  readonly acknowledged: number;
}

/**
 * Clones of party 1 that start at the same time, and three honest peers; each stream keeps its order, and which of them
 * moves next is drawn from the seed. A clone that another one displaced at a peer connects to it again.
 */
async function contest(load: Load, clones: number, seed: number): Promise<Ending> {
  const { OwnIncarnation } = await load<typeof OwnFile>(OWN);
  const { PeerIncarnations } = await load<typeof PeersFile>(PEERS);
  const rng = seededRng(`clones-${seed}`);
  const draw = (below: number): number => new DataView(rng(4).buffer).getUint32(0) % below;
  const disk = new MemoryStore();
  await OwnIncarnation.open(all.get(one)!, disk, keyOf(rng));
  const processes = await Promise.all(
    Array.from({ length: clones }, async () => {
      const tlsKey = keyOf(rng);
      return { tlsKey, own: await OwnIncarnation.open(all.get(one)!, disk.copy(), tlsKey) };
    }),
  );
  const peers = new Map<PartyId, Awaited<ReturnType<typeof PeerIncarnations.open>>>();
  for (const party of peersOfOne) {
    peers.set(party, await PeerIncarnations.open(all.get(party)!, new MemoryStore()));
  }
  const queues = new Map<string, { readonly run: () => Promise<void> }[]>();
  const post = (queue: string, run: () => Promise<void>): void => {
    queues.set(queue, [...(queues.get(queue) ?? []), { run }]);
  };

  const announce = (i: number, to: PartyId): void => {
    const { record } = processes[i]!.own;
    post(`${i}>${to}`, () => take(i, to, record));
  };
  const answer = (i: number, from: PartyId, message: Message): void =>
    post(`${from}>${i}`, () => hear(i, from, message));

  const take = async (i: number, at: PartyId, record: Incarnation): Promise<void> => {
    const peer = peers.get(at)!;
    const before = peer.highestOf(one);
    const verdict = await peer.take({ party: one, tlsKey: processes[i]!.tlsKey }, record);
    if (verdict.kind === 'refused') {
      answer(i, at, { kind: 'refused', highest: verdict.highest });
      return;
    }
    answer(i, at, { kind: 'acknowledged', signature: verdict.signature });
    const displaced = processes.findIndex(({ tlsKey }) => tlsKey === before?.tlsKey);
    if (displaced < 0 || displaced === i) return;
    answer(displaced, at, { kind: 'refused', highest: peer.highestOf(one) });
    post(`again ${displaced}>${at}`, async () => {
      if (!processes[displaced]!.own.isSuperseded) announce(displaced, at);
    });
  };

  const hear = async (i: number, from: PartyId, message: Message): Promise<void> => {
    const { own } = processes[i]!;
    if (own.isSuperseded) return;
    if (message.kind === 'acknowledged') own.acknowledged(from, message.signature);
    if (message.kind === 'refused' && (await own.refused(from, message.highest)) === 'renumbered') {
      for (const to of peersOfOne) announce(i, to);
    }
  };

  for (const i of processes.keys()) for (const to of peersOfOne) announce(i, to);
  for (let step = 0; step < 5_000; step++) {
    const ready = [...queues].filter(([, queue]) => queue.length > 0);
    if (ready.length === 0) break;
    const [name, queue] = ready[draw(ready.length)]!;
    queues.set(name, queue.slice(1));
    await queue[0]!.run();
  }
  return {
    superseded: processes.filter(({ own }) => own.isSuperseded).length,
    acknowledged: processes.filter(({ own }) => own.isAcknowledged).length,
  };
}

function keyOf(rng: (sizeBytes: number) => Uint8Array): Digest {
  return digest(Buffer.from(rng(32)).toString('hex'));
}

const asItIs: Load = (file) => import(/* @vite-ignore */ join(import.meta.dirname, '../../..', file));
const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);

async function anyContest(load: Load, clones: number, is: (ending: Ending) => boolean): Promise<boolean> {
  for (const seed of SEEDS) if (is(await contest(load, clones, seed))) return true;
  return false;
}

describe('clones that start at the same time', () => {
  it.each([2, 3])('clones: of %i exactly one goes on, in whichever order messages come', async (clones) => {
    for (const seed of SEEDS) {
      const ending = await contest(asItIs, clones, seed);
      expect(ending, `seed ${seed}`).toEqual({ superseded: clones - 1, acknowledged: 1 });
    }
  });

  it('clones: without an order between them all of them stop', async () => {
    const edits: readonly Edit[] = [
      {
        file: OWN,
        find: '(this.#met.has(from) && highest.tlsKey > this.#tlsKey)',
        replace: 'this.#met.has(from)',
      },
      { file: OWN, find: 'highest.number > this.#record.number && yields', replace: 'yields' },
    ];
    const attack = await attackBoth('no-order', edits, (load) =>
      anyContest(load, 2, ({ superseded }) => superseded === 2),
    );
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('clones: if a peer forgets whom it had acknowledged before, two are acknowledged at once', async () => {
    const edits: readonly Edit[] = [
      {
        file: PEERS,
        find: "if (!isAcceptable(highest, record)) return { kind: 'refused', highest };",
        replace: '',
      },
    ];
    const attack = await attackBoth('both', edits, (load) =>
      anyContest(load, 2, ({ acknowledged }) => acknowledged === 2),
    );
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('clones: whole nodes: of two that start from one disk one stops, and what the others know of goes on', async () => {
    const live = await LiveNodes.start();
    const clones: LiveNode[] = [];
    try {
      await allIn('ready', live.all);
      const [original, ...peers] = live.all;
      await live.close(original!);
      const disks = [original!.cloud.copy(), original!.cloud.copy()];
      clones.push(...(await Promise.all(disks.map((disk) => live.open(1, disk)))));
      await Promise.all(clones.map((clone) => live.join(clone)));
      await eventually(async () => clones.filter(({ superseded }) => superseded).length === 1);
      const survivor = clones.find(({ superseded }) => !superseded)!;
      const stopped = clones.find(({ superseded }) => superseded)!;
      expect(await phaseOf(stopped)).toBe('superseded');
      await eventually(async () => ['ready', 'recover'].includes(await phaseOf(survivor)));
      let heard = survivor;
      if ((await phaseOf(survivor)) === 'recover') {
        // The other one had a change of its state acknowledged before it was superseded: this disk is older than that, and
        // nobody goes on from it. From the other one it goes on.
        expect((await survivor.node.describe()).reason).toBe('other nodes hold a later state of this node');
        for (const clone of clones) await live.close(clone);
        heard = await live.again(stopped);
        clones.push(heard);
      }
      await allIn('ready', [heard, ...peers]);
    } finally {
      await live.closeAll(clones);
    }
  });
});
