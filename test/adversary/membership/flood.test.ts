import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { UnixLink } from '../../../enclave/link/unix.ts';
import type * as StandingFile from '../../../enclave/membership/standing.ts';
import type { Line } from '../../../enclave/net/line.ts';
import { NodeNetwork } from '../../../enclave/net/node-network.ts';
import { Roster } from '../../../enclave/net/roster.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { UnixLink as ParentLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { ROOTS } from '../../../shared/attestation/roots/mock.ts';
import { committee } from '../../../shared/committee.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import { signIncarnation, tlsKeyOf } from '../../../shared/membership/incarnation.ts';
import type { MembershipMessage } from '../../../shared/membership/messages.ts';
import { boundNsm, mockTrust } from '../../simulator/attested.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { measurement } from '../../simulator/network.ts';
import { memberships } from '../../simulator/simulation.ts';
import { fakeApi } from '../../unit/client/fake-node.ts';
import { attackBoth, type Edit } from '../mutant.ts';
import { allIn, eventually, LiveNodes, pause } from './live-nodes.ts';

const FILE = 'enclave/membership/standing.ts';
const budget: Edit = {
  file: FILE,
  find: 'await this.#budget.take(line.party, costOf(message));',
  replace: 'void costOf;',
};
const all = memberships(committee(4, 1), 'membership-flood');
const [one, two] = [partyId(1), partyId(2)];
const spki = systemRng(91);

/** How often party 1 did the work of a message of party 2's within three seconds; party 2 sends as fast as it is read. */
async function workDone(
  load: <Module>(file: string) => Promise<Module>,
  messages: Iterable<MembershipMessage>,
): Promise<number> {
  const { Standing } = await load<typeof StandingFile>(FILE);
  const store = new MemoryStore();
  let work = 0;
  const put = store.put.bind(store);
  store.put = (...record) => {
    work += 1;
    return put(...record);
  };
  const fake: Partial<Line> = {
    party: two,
    node: { spki, identity: all.get(two)!.signer.publicKey } as Line['node'],
    tell: () => {
      work += 1;
    },
    admit: () => {},
  };
  const line = fake as Line;
  const standing = await Standing.open(all.get(one)!, {
    ...{ seal: { receive: async () => {}, onLine: () => {} } },
    ...{ store, rng: systemRng, log: silent, trust: mockTrust(all.get(one)!.networkId), nowMs: Date.now },
    ...{ spki: systemRng(91), document: async () => new Uint8Array(1), lines: () => [line] },
    ...{ isAdmitted: () => true, mayEnrol: () => true, onChange: () => {}, domain: undefined },
  });
  work = 0;
  let isOver = false;
  const flood = async (): Promise<void> => {
    for (const message of messages) {
      if (isOver) return;
      await standing.receive(line, message).catch(() => undefined);
    }
  };
  await Promise.race([flood(), pause(3_000)]);
  isOver = true;
  return work;
}

function* questions(count: number): Generator<MembershipMessage> {
  for (let i = 0; i < count; i++) yield { kind: 'clock-asked', nonce: systemRng(32) };
}

/** Every one a higher boot of the sender's, to be made durable. */
function* boots(count: number): Generator<MembershipMessage> {
  const by = all.get(two)!;
  const tlsKey = tlsKeyOf(nodePrimitives, spki);
  for (let i = 1; i <= count; i++) yield { kind: 'incarnation', record: signIncarnation(by, i, tlsKey) };
}

describe('attack by floods of membership messages', () => {
  it('flood: a member asks for signatures without end', async () => {
    const attack = await attackBoth('questions', [budget], async (load) => {
      return (await workDone(load, questions(800))) > 500;
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });

  it('flood: a member boots without end, to be written to disk each time', async () => {
    const attack = await attackBoth('boots', [budget], async (load) => {
      return (await workDone(load, boots(150))) > 100;
    });
    expect(attack).toEqual({ withRule: false, withoutRule: true });
  });
});

describe('a member that sends what cannot be read', () => {
  let live: LiveNodes | undefined;
  let closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing) await close();
    await live?.closeAll();
    live = undefined;
    closing = [];
  });

  it('flood: malformed messages are read ever more slowly, and nobody else is held back', async () => {
    live = await LiveNodes.start();
    await allIn('ready', live.all);
    const [first, , , last] = live.all;
    const peers = await impostor(live, 4);
    await eventually(async () => peers.peers?.lines().some(({ party }) => party === 1) ?? false);
    const dropped = (): number =>
      first!.log.filter(({ event, party }) => event === 'message-dropped' && party === last!.party).length;
    for (const line of peers.peers!.lines()) {
      for (let i = 0; i < 300; i++) line.tell(systemRng(40));
    }
    await pause(2_000);
    expect(dropped()).toBeGreaterThan(10);
    expect(dropped()).toBeLessThan(60);
    await allIn('ready', live.all.slice(0, 3));
  });

  /** The network side of a broken enclave: the identity of that party, an allowed image, words of its own. */
  async function impostor(of: LiveNodes, party: PartyId | number): Promise<NodeNetwork> {
    const node = of.all[party - 1]!;
    const [seed] = node.born;
    await of.close(node);
    const chain = of.chain;
    const identity = ed25519Signer(seed!);
    const directory = await mkdtemp(join(tmpdir(), 'kms-impostor-'));
    const network = await NodeNetwork.open({
      ...{ link: new UnixLink(directory), identity, networkId: chain.networkId, roots: ROOTS, log: silent },
      nsm: await boundNsm(chain.networkId),
      ...{ nowMs: Date.now, crypto: nodePrimitives, rng: systemRng, api: fakeApi({}) },
    });
    const relay = await Relay.open({
      ...{ link: new ParentLink(directory), listen: parseAddress(node.address), log: silent },
      allowed: async () => new Set(of.all.map(({ address }) => address)),
    });
    closing.push(
      () => network.close(),
      () => relay.close(),
    );
    const roster = new Roster(chain.networkId, identity.publicKey, () => chain.validAt(0));
    const trust = network.trustIn(chain.networkId, () => [measurement(10)]);
    await network.join(roster, trust, { onMessage: () => {}, onLine: () => {} });
    return network;
  }
});
