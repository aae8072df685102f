import { randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { UnixLink } from '../../../parent/link/unix.ts';
import { Relay } from '../../../parent/relay.ts';
import { parseAddress } from '../../../shared/address.ts';
import { recorder, type TestNode, TestNodes, until } from '../../unit/net/nodes.ts';

/**
 * Strangers who connect to a node as fast as they can, from several addresses, through an honest parent. Whether a member
 * that lost its stream gets in again meanwhile is decided by one thing: that the parent tells members' hosts from others.
 */
const STRANGERS = ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6'];
const MEMBERS = '127.0.0.1';
const FLOOD_MS = 2_500;

let nodes: TestNodes | undefined;
let flood: Flood | undefined;

afterEach(async () => {
  flood?.stop();
  await nodes?.close();
});

/** Connections that say something that is no TLS, so that each costs the enclave what a failure costs. */
class Flood {
  readonly #sockets = new Set<Socket>();
  readonly #timer: NodeJS.Timeout;
  made = 0;

  constructor(address: string) {
    this.#timer = setInterval(() => {
      for (const localAddress of STRANGERS) {
        if (this.#sockets.size > 200) return;
        const socket = createConnection({ ...parseAddress(address), localAddress });
        this.made += 1;
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.once('close', () => this.#sockets.delete(socket));
        socket.resume().write(randomBytes(600));
      }
    }, 5);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Four members; the second one's parent sorts by address or not. It is flooded until its enclave refuses everybody. */
async function flooded(isMember: (address: string) => boolean): Promise<readonly [TestNode, TestNode]> {
  nodes = await TestNodes.create(4);
  const all = nodes;
  const [first, victim] = all.nodes;
  await victim!.relay.close();
  victim!.relay = await Relay.open({
    link: new UnixLink(victim!.directory),
    listen: parseAddress(victim!.address),
    allowed: async () => new Set(all.nodes.map(({ address }) => address)),
    isMember,
    log: recorder(victim!.log),
  });
  await all.joinAll();
  flood = new Flood(victim!.address);
  await until(() => victim!.log.some(({ event }) => event === 'ingress-paused'));
  return [first!, victim!];
}

const isConnected = (victim: TestNode, to: TestNode): boolean =>
  victim.peers?.connected().includes(to.party) === true;

describe('flood of strangers', () => {
  it('flood of strangers: a member whose stream broke is in again, every time, while it lasts', async () => {
    const [first, victim] = await flooded((address) => address === MEMBERS);
    const endMs = performance.now() + FLOOD_MS;
    let returns = 0;
    while (performance.now() < endMs) {
      // The first member dials the second: its parent drops what it carries.
      first.relay.breakConnections();
      await until(() => !isConnected(victim, first));
      await until(() => isConnected(victim, first));
      returns += 1;
      await sleep(400);
    }
    expect(returns).toBeGreaterThan(2);
    expect(flood!.made).toBeGreaterThan(200);
  });

  it('flood of strangers: the same member stays out when its parent sorts nobody, and is back after it', async () => {
    const [first, victim] = await flooded(() => false);
    first.relay.breakConnections();
    await until(() => !isConnected(victim, first));
    await sleep(FLOOD_MS);
    expect(isConnected(victim, first)).toBe(false);
    flood!.stop();
    await until(() => isConnected(victim, first));
  });

  it('flood of strangers: it takes no connection of members’ hosts at the parent, nor fills its log', async () => {
    const [, victim] = await flooded((address) => address === MEMBERS);
    const before = victim.log.filter(({ event }) => event === 'connection-refused').length;
    const refused = (): number => [...victim.relay.counters.refused.values()].reduce((a, b) => a + b, 0);
    const refusedBefore = refused();
    await sleep(1_000);
    expect(refused() - refusedBefore).toBeGreaterThan(40);
    const lines = victim.log.filter(({ event }) => event === 'connection-refused').length - before;
    expect(lines).toBeLessThan(100);
  });
});
