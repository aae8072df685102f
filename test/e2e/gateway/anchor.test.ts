import { bytesToHex, type Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SignedAnchor } from '../../../enclave/gateway/anchor-desk.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import type { FrontFault } from '../../../infra/local/chains/front-fault.ts';
import { anchorCommitment } from '../../../shared/gateway/node-anchor.ts';
import {
  allIn,
  eventually,
  type LiveNode,
  pause,
  peersOf,
  phaseOf,
} from '../../adversary/membership/live-nodes.ts';
import { EnclaveNetwork } from './enclave-network.ts';

/** Nodes of which the registry remembers how far they had come. What connectors do, the test does or withholds. */

const PATIENCE_MS = 120_000;
const HOUR_S = 3600;
const STAYS_MS = 300;
const never = new AbortController().signal;
const refused = { code: 'UNAVAILABLE' };

let network: EnclaveNetwork;
/** Of every node; the chain goes with them. */
let hours = 0;
const clock = { clockOffsetMs: () => hours * HOUR_S * 1000 };

beforeAll(async () => {
  network = await EnclaveNetwork.start(clock);
}, 300_000);

afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
});

const nodes = (): readonly LiveNode[] => network.nodes.all;
const registry = () => network.chains.gateway.registry;
const onRegistry = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
  network.relayer.read({ to: registry(), name, args });

function post(party: number, { anchor, signature }: SignedAnchor): Promise<unknown> {
  const { version, identity, state, auditHead } = anchor;
  const said = { version, ...hexOf({ identity, state, auditHead }) };
  return network.relayer.send({ to: registry(), name: 'anchor', args: [party, said, bytesToHex(signature)] });
}

function hexOf(words: Readonly<Record<string, Uint8Array>>): Record<string, Hex> {
  return Object.fromEntries(Object.entries(words).map(([name, word]) => [name, bytesToHex(word)]));
}

/** As connectors do it: a state that stays is anchored. */
async function anchored({ party, node }: LiveNode): Promise<void> {
  for (let before = 0n; ; await pause(STAYS_MS)) {
    const signed = await node.signAnchor();
    const { identity, version } = signed.anchor;
    const known = await onRegistry('anchorVersions', bytesToHex(identity));
    if (version === before && known === version) return;
    if (version === before) await post(party, signed);
    before = version;
  }
}

/** All nodes come to have later states. */
async function goOn(): Promise<void> {
  const request = systemRng(32);
  await Promise.all(nodes().map(({ direct }) => direct.generateKey(request, 'test-4096', never)));
}

async function restartAll(clouds = nodes().map(({ cloud }) => cloud)): Promise<void> {
  for (const each of nodes()) await network.nodes.close(each);
  for (const [i, of] of nodes().entries()) {
    network.nodes.all[i] = await network.nodes.again(of, clouds[i], clock);
  }
}

async function connected(): Promise<void> {
  await allIn('ready', nodes());
  await eventually(async () => (await Promise.all(nodes().map(peersOf))).every(({ length }) => length === 3));
}

/** The others are ready. */
async function onlyTheLast(phase: string): Promise<void> {
  const expected = ['ready', 'ready', 'ready', phase];
  await eventually(async () => String(await Promise.all(nodes().map(phaseOf))) === String(expected));
}

async function reasonOf({ node }: LiveNode): Promise<string | undefined> {
  return (await node.describe()).reason;
}

describe('anchors of live nodes', { timeout: PATIENCE_MS }, () => {
  test('anchor: the registry takes from each node what it signs, and nobody else’s word', async () => {
    for (const each of nodes()) {
      const { anchor, signature } = await each.node.signAnchor();
      const others = nodes().filter((one) => one !== each);
      for (const { party } of others) await expect(post(party, { anchor, signature })).rejects.toThrow();
      const later = { ...anchor, version: anchor.version + 1n };
      await expect(post(each.party, { anchor: later, signature })).rejects.toThrow();
      await post(each.party, { anchor, signature });
      await expect(post(each.party, { anchor, signature })).rejects.toThrow();
      const known = await onRegistry('anchors', bytesToHex(anchor.identity));
      expect(known).toBe(bytesToHex(anchorCommitment(anchor)));
    }
  });

  test('anchor: a node whose state is not anchored for an hour stops its work until it is', async () => {
    await goOn();
    for (const each of nodes().slice(0, 3)) await anchored(each);
    await network.travel(HOUR_S + 60);
    hours += 1 + 1 / 60;
    await onlyTheLast('unanchored');
    const { direct, node } = nodes()[3]!;
    await expect(direct.generateKey(systemRng(32), 'test-4096', never)).rejects.toMatchObject(refused);
    await expect(direct.decrypt(new Uint8Array(1), never)).rejects.toMatchObject(refused);
    expect((await node.listKeys()).length).toBe(1);
    // A later life gets no more time.
    await restartAll();
    await onlyTheLast('unanchored');
    await pause(1_000);
    await onlyTheLast('unanchored');
    await anchored(nodes()[3]!);
    await connected();
    await goOn();
  });

  test('anchor: all buckets turned back at once, no node works again; put right, all do', async () => {
    for (const each of nodes()) await anchored(each);
    const old = nodes().map(({ cloud }) => cloud.copy());
    await goOn();
    for (const each of nodes()) await anchored(each);
    const own = nodes().map(({ cloud }) => cloud);
    await restartAll(old);
    await allIn('recover', nodes());
    for (const each of nodes()) {
      expect(await reasonOf(each)).toMatch(/^the state has version \d+, but version \d+ is anchored$/);
      await expect(each.node.signAnchor()).rejects.toMatchObject(refused);
    }
    await restartAll(own);
    await connected();
  });

  test('anchor: turned back to before an anchor, and on beyond it, a node ends as soon as it is seen', async () => {
    const old = nodes().map(({ cloud }) => cloud.copy());
    await goOn();
    const other = await nodes()[0]!.node.signAnchor();
    const own = nodes().map(({ cloud }) => cloud);
    // Nothing of it is anchored, so that all nodes start again from before; and then they take another course.
    await restartAll(old);
    await connected();
    await goOn();
    await goOn();
    await post(1, other);
    await eventually(async () => (await phaseOf(nodes()[0]!)) === 'recover');
    expect(await reasonOf(nodes()[0]!)).toMatch(/is anchored, but not as this process has it$/);
    await restartAll(own);
    await connected();
  });

  test.each<FrontFault>([{ kind: 'closes' }, { kind: 'frozen', at: 1n }])(
    'anchor: while endpoints are %o a node waits with its state, and goes on afterwards',
    async (fault) => {
      const fronts = network.fronts.get(network.chains.gateway.chain.chainId)!;
      const faults = fronts.map((front) => front.fault);
      for (const front of fronts) front.fault = fault;
      const [first] = nodes();
      await network.nodes.close(first!);
      network.nodes.all[0] = await network.nodes.again(first!, undefined, clock);
      await eventually(async () => nodes()[0]!.log.some(({ event }) => event === 'unsealing-delayed'));
      expect(await phaseOf(nodes()[0]!)).toBe('unseal');
      // One of them lies all the time.
      for (const [i, front] of fronts.entries()) front.fault = faults[i]!;
      await connected();
    },
  );
});
