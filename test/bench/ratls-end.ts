import { createInterface } from 'node:readline';
import { UnixLink } from '../../enclave/link/unix.ts';
import { HANDSHAKE_LIMITS, HandshakeBudget } from '../../enclave/net/handshake-budget.ts';
import { Ingress } from '../../enclave/net/ingress.ts';
import { Roster } from '../../enclave/net/roster.ts';
import { nodePrimitives } from '../../enclave/primitives.ts';
import { silent } from '../../shared/log.ts';
import { attestedIdentity, mockTrust } from '../simulator/attested.ts';
import { foundedChain } from '../simulator/network.ts';
import { benchMembers, benchSigner } from './ratls-network.ts';

/**
 * An enclave's ingress as a process of its own, so that its CPU time is its own: `ratls-end.ts <socket directory>`. Answers
 * every line on its input with its CPU time so far in microseconds. Its budget has no burst worth speaking of: what is
 * measured is what it allows for ever.
 */
const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: ratls-end.ts <socket directory>');
const chain = foundedChain(benchMembers());
const identity = benchSigner(2);
const ingress = await Ingress.open({
  link: new UnixLink(directory),
  crypto: nodePrimitives,
  identity: await attestedIdentity(identity, chain.networkId),
  onClient: (socket) => socket.destroy(),
  onPeer: (_party, socket) => socket.destroy(),
  log: silent,
  budget: new HandshakeBudget({ ...HANDSHAKE_LIMITS, burstMs: 50, memberBurstMs: 50 }),
});
ingress.join({
  roster: new Roster(chain.networkId, identity.publicKey, () => chain.validAt(0)),
  trust: mockTrust(chain.networkId),
});
for await (const _ of createInterface(process.stdin)) {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${user + system}\n`);
}
