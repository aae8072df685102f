import { bytesToHex, type Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { type LocalChain, startAnvil } from '../../../infra/local/chains/anvil.ts';
import {
  deployGateway,
  foundGateway,
  type LocalGateway,
  type ProposedNode,
  publishConfigurations,
} from '../../../infra/local/chains/gateway.ts';
import { TlsFront } from '../../../infra/local/chains/tls-front.ts';
import { typedDomainOf } from '../../../shared/gateway/eip712.ts';
import { digest, partyId } from '../../../shared/ids.ts';
import { type Enrolment, enrolmentCodec } from '../../../shared/membership/enrolment.ts';
import {
  nodeEnrolment,
  packedSignatures,
  verifyContractSignatures,
} from '../../../shared/membership/node-enrolment.ts';
import { type Genesis, hasGateway } from '../../../shared/network/genesis.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { decode } from '../../../shared/wire/codec.ts';
import { allIn, eventually, type LiveNode, LiveNodes } from '../../adversary/membership/live-nodes.ts';
import { measurement, mockGenesis, operators } from '../../simulator/network.ts';

/** Live nodes of a network whose gateway is a local chain behind three TLS fronts, one of which lies all the time. */

let chain: LocalChain;
let gateway: LocalGateway;
let fronts: readonly TlsFront[];
let genesis: Genesis;
let live: LiveNodes;

beforeAll(async () => {
  chain = await startAnvil({ chainId: 31337 });
  fronts = await Promise.all([1, 2, 3].map(() => TlsFront.open(chain.url)));
  fronts[1]!.fault = { kind: 'false hashes' };
  gateway = await deployGateway(chain);
  genesis = mockGenesis(operators(4), {
    gateway: {
      chainId: 31337n,
      registry: fromHex(gateway.registry.address.slice(2).toLowerCase()),
      registryCodeHash: digest(gateway.registryCodeHash.slice(2)),
      finality: { kind: 'finalized' },
    },
    measurementDelayBlocks: 1_000_000,
    rpc: { k: 2, endpoints: fronts.map(({ endpoint }) => endpoint) },
  });
  const reachable = fronts.map(({ address }) => address);
  live = await LiveNodes.start(undefined, { genesis, reachable, headPollMs: 200 });
}, 180_000);

afterAll(async () => {
  await live?.closeAll();
  for (const front of fronts ?? []) await front[Symbol.asyncDispose]();
  await chain?.stop();
});

async function enrolments(): Promise<readonly (Enrolment | undefined)[]> {
  return Promise.all(
    live.all.map(async ({ node }) => {
      const { enrolment } = await node.describe();
      return enrolment && decode(enrolmentCodec, enrolment);
    }),
  );
}

/** As operators propose it: what they read from the nodes themselves. */
function proposed({ statement }: Enrolment): ProposedNode {
  const { signer, identity, tlsRoot, measurement: image } = hexOf(statement);
  const { party } = statement;
  return {
    ...{ sender: gateway.operators[party - 1]!.address, signer, identity, tlsRoot, measurement: image },
    ...{ epochKey: identity, endpoint: live.all[party - 1]!.address, organisation: `organisation ${party}` },
    ...{ cloudAccount: `account ${party}`, region: 'region' },
  };
}

function hexOf(statement: Enrolment['statement']) {
  const { signer, identity, tlsRoot, document, ...rest } = nodeEnrolment(nodePrimitives, statement);
  const hex = (bytes: Uint8Array): Hex => bytesToHex(bytes);
  return {
    ...{ epoch: rest.epoch, party: rest.party, signer: hex(signer), identity: hex(identity) },
    ...{ tlsRoot: hex(tlsRoot), measurement: hex(rest.measurement), document: hex(document) },
  };
}

/** Whether the node takes what the network has; a question to the chain may be under way that fails. */
async function joins(node: LiveNode): Promise<boolean> {
  return live.join(node).then(
    () => true,
    () => false,
  );
}

/** What operators have signed so far. */
function publish(): Promise<void> {
  return publishConfigurations(
    gateway,
    live.chain.links.map(({ digest: of }) => `0x${of}` as const),
  );
}

async function mine(blocks: number): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'anvil_mine', params: [blocks] });
  await fetch(chain.url, { method: 'POST', headers, body });
}

describe('a network on its gateway', () => {
  it('enrolment on chain: live nodes enrol each other, and epoch 0 becomes active', async () => {
    expect(hasGateway(genesis)).toBe(true);
    await allIn('ready', live.all);
    await eventually(async () => (await enrolments()).every((one) => one !== undefined));
    const all = (await enrolments()).flatMap((one) => one ?? []);
    const signers = new Map(all.map(({ statement }) => [statement.party, statement.signer]));
    const { networkId, newest } = live.chain;
    const among = {
      ...{ networkId, configuration: newest.digest, epoch: newest.signed.configuration.epoch },
      committee: {
        n: 4,
        t: 1,
        parties: [1, 2, 3, 4].map((i) => partyId(i)),
        decodingQuorum: 3,
        certificateQuorum: 3,
      },
      identities: new Map(all.map(({ statement }) => [statement.party, statement.identity])),
      primitives: nodePrimitives,
    };
    for (const one of all) verifyContractSignatures(among, typedDomainOf(genesis)!, one, signers);

    const { registry } = gateway;
    const relayer = gateway.operators[3]!;
    await foundGateway(gateway, `0x${networkId}`, `0x${newest.digest}`, 1, all.map(proposed));
    // Contracts take exactly what the nodes signed.
    const first = hexOf(all[0]!.statement);
    const signatures = bytesToHex(packedSignatures(all[0]!));
    const altered = { ...first, measurement: first.document };
    for (const args of [
      [altered, signatures],
      [first, signatures.slice(0, -130)],
      [hexOf({ ...all[0]!.statement, measurement: measurement(20) }), signatures],
    ]) {
      await expect(relayer.send({ to: registry, name: 'enrol', args })).rejects.toThrow();
    }
    for (const one of all) {
      const args = [hexOf(one.statement), bytesToHex(packedSignatures(one))];
      await relayer.send({ to: registry, name: 'enrol', args });
    }
    expect(await relayer.read({ to: registry, name: 'currentEpoch' })).toBe(0n);
  });

  it('configurations by block: valid at the block of the gateway chain, for nodes that know the head', async () => {
    const [node] = live.all;
    const { number } = await gateway.operators[0]!.client.getBlock();
    // So far ahead that only mine() gets there.
    const activationBlock = Number(number) + 1_000;
    live.grow({ activationBlock, overlapUntilBlock: activationBlock });
    await expect(live.join(node!)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    await publish();
    // Of two endpoints one lies already: no head, no new configuration.
    fronts[2]!.fault = { kind: 'closes' };
    await eventually(async () => node!.log.some(({ event }) => event === 'gateway-head-unknown'));
    await expect(live.join(node!)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    fronts[2]!.fault = { kind: 'none' };
    for (const each of live.all) await eventually(() => joins(each));
    expect((await node!.node.describe()).network?.configuration.number).toBe(1);
    // A configuration after it waits until its window is over, by the chain.
    live.grow({ activationBlock: activationBlock + 10, overlapUntilBlock: activationBlock + 10 });
    await publish();
    await expect(live.join(node!)).rejects.toMatchObject({ code: 'BAD_CONFIGURATION' });
    await mine(1_000);
    for (const each of live.all) await eventually(() => joins(each));
    expect((await node!.node.describe()).network?.configuration.number).toBe(2);
  });

  it('configurations by block: a node that starts again goes on from the last block it believed, and not back', async () => {
    const [, second] = live.all;
    const { client } = gateway.operators[0]!;
    const { number: at } = await client.getBlock();
    // The node's polls see the blocks that come now.
    await eventually(async () => (await client.getBlock()).number > at + 3n);
    await live.close(second!);
    for (const front of [fronts[0]!, fronts[2]!]) front.fault = { kind: 'frozen', at };
    const again = await live.again(second!);
    live.all[1] = again;
    const logged = (event: string) => again.log.filter((line) => line.event === event);
    await eventually(async () => logged('gateway-head-unknown').length > 0);
    expect(logged('gateway-head-unknown')[0]).toMatchObject({ code: 'STALE_HEAD' });
    expect(logged('gateway-head-unknown')[0]?.count).toBeGreaterThan(Number(at));
    expect(logged('gateway-head-known')).toEqual([]);
    for (const front of [fronts[0]!, fronts[2]!]) front.fault = { kind: 'none' };
    await eventually(async () => logged('gateway-head-known').length > 0);
    await allIn('ready', live.all);
    const { identity } = live.chain.newest.signed.configuration.members[1]!;
    expect(toHex((await again.node.describe()).identity)).toBe(toHex(identity));
  });
});
