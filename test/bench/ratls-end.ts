import { createInterface } from 'node:readline';
import { UnixLink } from '../../enclave/link/unix.ts';
import { dialMember } from '../../enclave/net/dial.ts';
import { DIAL_LIMITS, DialBudget } from '../../enclave/net/dial-budget.ts';
import { HANDSHAKE_LIMITS, HandshakeBudget } from '../../enclave/net/handshake-budget.ts';
import { Ingress } from '../../enclave/net/ingress.ts';
import { PeerNetwork } from '../../enclave/net/peers.ts';
import { Roster } from '../../enclave/net/roster.ts';
import { nodePrimitives, systemRng } from '../../enclave/primitives.ts';
import { silent } from '../../shared/log.ts';
import { attestedIdentity, mockTrust } from '../simulator/attested.ts';
import { foundedChain } from '../simulator/network.ts';
import { BENCHED, benchMembers, benchSigner } from './ratls-network.ts';

/**
 * An enclave's network as a process of its own, so that its CPU time is its own: `ratls-end.ts <socket directory>`. It dials
 * its peers through whatever parent serves the directory. Answers every line on its input with its CPU time so far in microseconds. Its budget has no burst worth speaking of: what is
 * measured is what it allows for ever.
 */
const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: ratls-end.ts <socket directory>');
const chain = foundedChain(benchMembers());
const link = new UnixLink(directory);
const identity = benchSigner(BENCHED);
const shown = await attestedIdentity(identity, chain.networkId);
const ingress = await Ingress.open({
  link,
  crypto: nodePrimitives,
  identity: shown,
  onClient: (socket) => socket.destroy(),
  onPeer: (_party, socket) => socket.destroy(),
  log: silent,
  budget: new HandshakeBudget({ ...HANDSHAKE_LIMITS, burstMs: 50, memberBurstMs: 50 }),
});
const network = {
  roster: new Roster(chain.networkId, identity.publicKey, () => chain.validAt(0)),
  trust: mockTrust(chain.networkId),
};
ingress.join(network);
const dials = new DialBudget({ ...DIAL_LIMITS, burstMs: 50 });
const peers = new PeerNetwork({
  self: network.roster.self,
  parties: network.roster.parties,
  dial: (party) => dialMember(link, shown, nodePrimitives, network, party, dials),
  ...{ rng: systemRng, log: silent, onMessage: () => {}, onLine: () => {} },
});
peers.start();
for await (const _ of createInterface(process.stdin)) {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${user + system}\n`);
}
