import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askChain } from '../../../infra/local/chains/ask-chain.ts';
import {
  type ChainsState,
  chainPorts,
  freshChains,
  withChain,
} from '../../../infra/local/chains/chains-state.ts';
import { NetworkGateway } from '../../../infra/local/network-gateway.ts';
import { freePorts } from '../../../infra/local/process.ts';
import { foundedChain } from '../../simulator/network.ts';

/** Chains and contracts of a local network before it has nodes. */

const never = new AbortController().signal;

let directory = '';
let state: ChainsState;
let gateway: NetworkGateway;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-chains-'));
  state = freshChains(await freePorts(chainPorts));
  const save = async (changed: ChainsState): Promise<void> => {
    state = changed;
  };
  gateway = new NetworkGateway(directory, { known: () => state, save, connectors: () => [] });
  await gateway.start(never);
}, 60_000);

afterAll(async () => {
  await gateway?.stop();
  await rm(directory, { recursive: true });
});

const urlOf = (port: number): string => `http://127.0.0.1:${port}`;
const OPERATOR = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266';

async function sent(): Promise<number> {
  return Number(await askChain(urlOf(state.gateway.port), 'eth_getTransactionCount', [OPERATOR, 'latest']));
}

/** As a chain leaves it whose machine stopped before it was written down. */
function forgetContracts(): void {
  state = withChain(state, { ...state.gateway, contracts: { registry: `0x${'de'.repeat(20)}` } });
}

describe('gateway of a local network', { timeout: 120_000 }, () => {
  it('network gateway: contracts are deployed once, and genesis can name them', async () => {
    // Until genesis names one, a registry that is lost is nobody's.
    forgetContracts();
    const founded = await gateway.deploy();
    const transactions = await sent();
    expect(transactions).toBeGreaterThan(4);
    expect(await gateway.deploy()).toEqual(founded);
    expect(await sent()).toBe(transactions);
    const addresses = new Set(
      [founded.rpc, ...founded.hosts.map(({ rpc }) => rpc)].flatMap(({ endpoints }) =>
        endpoints.map(({ url }) => url),
      ),
    );
    expect(addresses.size).toBe(9);
    const pins = founded.hosts.flatMap(({ rpc }) => rpc.endpoints.flatMap(({ spkiPins }) => spkiPins));
    expect(new Set(pins).size).toBe(6);
  });

  it('network gateway: started again, chains and the keys of their fronts are the same', async () => {
    const [founded, transactions] = [await gateway.deploy(), await sent()];
    await gateway.stop();
    await gateway.start(never);
    expect(await gateway.deploy()).toEqual(founded);
    expect(await sent()).toBe(transactions);
  });

  it('network gateway: a network is not founded on another registry than that of genesis', async () => {
    const transactions = await sent();
    const members = [1, 2, 3, 4].map((party) => ({
      identity: new Uint8Array(32).fill(party),
      address: `node-${party}:443`,
    }));
    const founding = gateway.found(
      foundedChain(members),
      async () => [],
      () => {},
      never,
    );
    await expect(founding).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await sent()).toBe(transactions);
  });

  it('network gateway: what answers at the port of a chain is not taken for it', async () => {
    await gateway.stop();
    const other: Server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request
        .on('data', (chunk) => chunks.push(chunk))
        .on('end', () => {
          const { id } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
          response.end(JSON.stringify({ jsonrpc: '2.0', id, result: '0x7a69' }));
        });
    });
    await new Promise<void>((done) => other.listen(state.gateway.port, '127.0.0.1', done));
    try {
      await expect(gateway.start(never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    } finally {
      other.closeAllConnections();
      await new Promise((done) => other.close(done));
    }
    await gateway.start(never);
  });
});
