import { connect } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { UnixLink } from '../../../enclave/link/unix.ts';
import { dialNode } from '../../../enclave/net/dial.ts';
import { DialBudget } from '../../../enclave/net/dial-budget.ts';
import { grpcOver } from '../../../enclave/net/http2.ts';
import { PeerNetwork } from '../../../enclave/net/peers.ts';
import { TLS_POLICY } from '../../../enclave/net/tls-policy.ts';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { KmsError } from '../../../shared/errors.ts';
import { partyId } from '../../../shared/ids.ts';
import {
  type PeerFrame,
  PeerFrameSchema,
  PeerService,
} from '../../../shared/wire/generated/kms/v1/peer_pb.js';
import { attestedIdentity, mockTrust } from '../../simulator/attested.ts';
import { operators, signedBy, successor } from '../../simulator/network.ts';
import {
  freePort,
  type Logged,
  numbered,
  numberOf,
  recorder,
  TestNodes,
  type TestNodesOptions,
  tcp,
  until,
} from './nodes.ts';

let all: TestNodes | undefined;

async function joined(count: number, options: TestNodesOptions = {}): Promise<TestNodes> {
  all = await TestNodes.create(count, options);
  await all.joinAll();
  return all;
}

afterEach(async () => {
  await all?.close();
  all = undefined;
});

describe('peer network', () => {
  it('peer network: every pair exchanges messages in order, with the verified sender', async () => {
    const { nodes } = await joined(4);
    for (const from of nodes) {
      for (const to of nodes) {
        for (let i = 0; i < 50 && from !== to; i++) from.peers!.send(to.party, numbered(i));
      }
    }
    await until(() => nodes.every((node) => node.received.length === 150));
    for (const node of nodes) {
      for (const from of nodes.filter((other) => other !== node)) {
        const numbers = node.received
          .filter((one) => one.from === from.party)
          .map((one) => numberOf(one.payload));
        expect(numbers).toEqual(Array.from({ length: 50 }, (_, i) => i));
      }
    }
  });

  it('peer network: messages of 8 MiB pass, larger ones are refused', async () => {
    const { nodes } = await joined(4);
    const [first, , , last] = nodes;
    const big = numbered(7, 8 * 2 ** 20);
    first!.peers!.send(last!.party, big);
    last!.peers!.send(first!.party, big);
    await until(() => first!.received.length === 1 && last!.received.length === 1);
    expect(Buffer.compare(last!.received[0]!.payload, big)).toBe(0);
    expect(() => first!.peers!.send(last!.party, new Uint8Array(8 * 2 ** 20 + 1))).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
    expect(() => first!.peers!.send(partyId(5), big)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });

  it('peer network: nothing is lost, doubled or reordered when parents keep breaking connections', async () => {
    const { nodes } = await joined(4);
    const [low, high] = nodes;
    const count = 400;
    for (let i = 0; i < count; i++) {
      low!.peers!.send(high!.party, numbered(i, 20_000));
      high!.peers!.send(low!.party, numbered(i, 20_000));
      if (i % 80 === 40) (i % 160 === 40 ? low! : high!).relay.breakConnections();
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await until(() => low!.received.length >= count && high!.received.length >= count);
    const expected = Array.from({ length: count }, (_, i) => i);
    expect(low!.received.map((one) => numberOf(one.payload))).toEqual(expected);
    expect(high!.received.map((one) => numberOf(one.payload))).toEqual(expected);
    expect(low!.log.some((line) => line.event === 'exchange-closed')).toBe(true);
  });

  it('peer network: a restarted parent is found again and nothing is lost', async () => {
    const network = await joined(4);
    const [low, high] = network.nodes;
    await high!.relay.close();
    await until(() => !low!.peers!.connected().includes(high!.party));
    for (let i = 0; i < 20; i++) low!.peers!.send(high!.party, numbered(i));
    await network.restartRelay(high!);
    await until(() => high!.received.length === 20);
    expect(high!.received.map((one) => numberOf(one.payload))).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it('peer network: a restarted enclave receives what was never delivered, numbered anew', async () => {
    const network = await joined(4);
    const [low, , , high] = network.nodes;
    low!.peers!.send(high!.party, numbered(1));
    high!.peers!.send(low!.party, numbered(1));
    await until(() => high!.received.length === 1 && low!.received.length === 1);
    await network.restartEnclave(high!);
    low!.peers!.send(high!.party, numbered(2));
    high!.peers!.send(low!.party, numbered(2));
    await until(
      () => numberOf(high!.received.at(-1)!.payload) === 2 && numberOf(low!.received.at(-1)!.payload) === 2,
    );
    await network.restartEnclave(low!);
    low!.peers!.send(high!.party, numbered(3));
    high!.peers!.send(low!.party, numbered(3));
    await until(
      () => numberOf(high!.received.at(-1)!.payload) === 3 && numberOf(low!.received.at(-1)!.payload) === 3,
    );
    // The last message of the life that ended may come twice, once to each life; never twice to one.
    expect(low!.received.filter((one) => numberOf(one.payload) === 3)).toHaveLength(1);
    expect(high!.received.filter((one) => numberOf(one.payload) === 3)).toHaveLength(1);
  });

  it('peer network: a slow receiver holds back its peer, and gets everything in the end', async () => {
    const gate = Promise.withResolvers<void>();
    const { nodes } = await joined(4, { onMessage: (to) => (to === 2 ? gate.promise : undefined) });
    const [low, slow] = nodes;
    const count = 40;
    for (let i = 0; i < count; i++) low!.peers!.send(slow!.party, numbered(i, 2 ** 20));
    await until(() => slow!.received.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(slow!.received).toHaveLength(1);
    // Other peers are not held back by the slow one.
    nodes[2]!.peers!.send(low!.party, numbered(0));
    await until(() => low!.received.length === 1);
    gate.resolve();
    await until(() => slow!.received.length === count);
    expect(slow!.received.map((one) => numberOf(one.payload))).toEqual(
      Array.from({ length: count }, (_, i) => i),
    );
  });

  it('peer network: a full outbox is dropped and logged as BUSY, and the peer is served again later', async () => {
    const log: Logged[] = [];
    const network = new PeerNetwork({
      onMessage: () => {},
      onLine: () => {},
      self: partyId(1),
      parties: [partyId(1), partyId(2)],
      dial: () => Promise.reject(new KmsError('UNAVAILABLE', 'nobody there')),
      rng: systemRng,
      log: recorder(log),
      limits: { maxPayloadBytes: 1000, maxOutboxBytes: 5000 },
    });
    network.start();
    for (let i = 0; i < 6; i++) network.send(partyId(2), new Uint8Array(900));
    expect(log.map((line) => line.code)).toEqual(['BUSY']);
    for (let i = 0; i < 5; i++) network.send(partyId(2), new Uint8Array(900));
    expect(log.map((line) => line.code)).toEqual(['BUSY']);
    await until(() => log.some((line) => line.event === 'dial-failed' && line.code === 'UNAVAILABLE'));
    await network.close();
    network.send(partyId(2), new Uint8Array(1));
  });

  it('peer network: a second process of a peer, once admitted, displaces the first', async () => {
    const network = await joined(4);
    const [first, second] = network.nodes;
    const { networkId } = network;
    const own = await attestedIdentity(first!.signer, networkId);
    const target = { address: second!.address, identity: second!.signer.publicKey };
    const link = new UnixLink(first!.directory);
    const { socket } = await dialNode(
      link,
      own,
      nodePrimitives,
      mockTrust(networkId),
      target,
      new DialBudget(),
    );
    const frames: PeerFrame[] = [];
    const requests = async function* () {
      yield { frame: create(PeerFrameSchema, { incarnation: systemRng(16) }) };
      await new Promise((resolve) => socket.once('close', resolve));
    };
    const reading = (async () => {
      for await (const { frame } of createClient(PeerService, grpcOver(socket)).exchange(requests())) {
        if (frame !== undefined) frames.push(frame);
      }
    })().catch(() => {});
    await until(() => second!.log.some((line) => line.reason === 'superseded'));
    await until(() => frames.length > 0);
    // The process that is still there dials again, is admitted and displaces in turn; nothing it sent is lost.
    first!.peers!.send(second!.party, numbered(3));
    await until(() => second!.received.length === 1);
    await reading;
    expect(socket.destroyed).toBe(true);
  });

  it('peer network: a member that moves keeps its streams until it goes, and is found where it went', async () => {
    const network = await TestNodes.create(4);
    all = network;
    const { nodes } = network;
    const before = network.chain();
    const to = `127.0.0.1:${await freePort()}`;
    const moved = successor(before, {
      members: before.newest.signed.configuration.members.map((member) =>
        member.party === 4 ? { ...member, address: to } : member,
      ),
    });
    const { activationBlock, overlapUntilBlock } = moved;
    const chain = before.extend(signedBy(operators(4), moved));
    let block = 0;
    for (const node of nodes) await network.join(node, chain, () => chain.validAt(block));
    await until(() => nodes.every((node) => node.peers!.connected().length === 3));
    const fourth = nodes[3]!;
    const send = (i: number): void => {
      for (const from of nodes.slice(0, 3)) from.peers!.send(fourth.party, numbered(i));
    };
    send(0);
    block = activationBlock;
    send(1);
    await until(() => fourth.received.length === 6);
    expect(nodes.every((node) => node.log.every(({ event }) => event !== 'exchange-closed'))).toBe(true);
    fourth.address = to;
    await network.restartRelay(fourth);
    send(2);
    await until(() => nodes.every((node) => node.peers!.connected().length === 3));
    block = overlapUntilBlock + 1;
    send(3);
    await until(() => fourth.received.length === 12);
    for (const from of nodes.slice(0, 3)) {
      const own = fourth.received.filter((one) => one.from === from.party);
      expect(own.map(({ payload }) => numberOf(payload))).toEqual([0, 1, 2, 3]);
    }
  });

  it('peer network: garbage instead of TLS, HTTP/2 or frames closes that connection only', async () => {
    const { nodes } = await joined(4);
    const [first, second] = nodes;
    for (const size of [1, 100, 20_000]) {
      const plain = await tcp(second!.address);
      plain.resume().write(systemRng(size));
      plain.end();
      await until(() => plain.destroyed);
      const stream = await tcp(second!.address);
      const options = { ...TLS_POLICY, ALPNProtocols: ['h2'], rejectUnauthorized: false };
      const secure = connect({ socket: stream, ...options });
      secure.on('error', () => {});
      secure.resume().end(systemRng(size));
      await until(() => secure.destroyed);
    }
    first!.peers!.send(second!.party, numbered(1));
    await until(() => second!.received.length === 1);
    expect(second!.peers!.connected()).toHaveLength(3);
  });
});
