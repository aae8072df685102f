import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RpcClient } from '../../../enclave/chains/rpc-client.ts';
import type { FrontFault } from '../../../infra/local/chains/front-fault.ts';
import { TlsFront } from '../../../infra/local/chains/tls-front.ts';
import { parseAddress } from '../../../shared/address.ts';
import { digest } from '../../../shared/ids.ts';
import type { RpcEndpoint } from '../../../shared/network/rpc.ts';

const hash = `0x${'ab'.repeat(32)}`;
const block = { number: '0x5', hash, parentHash: `0x${'cd'.repeat(32)}`, timestamp: '0x6553f100' };
const code = (of: string) => expect.objectContaining({ code: of });

/** A chain of one block, over plain HTTP: a front with TLS stands before it. */
let chain: Server;
let front: TlsFront;
let clients: RpcClient[];
let asked: string[];

beforeEach(async () => {
  clients = [];
  asked = [];
  chain = createServer(async (request, response) => {
    const { id, method, params } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    const isHere = ['finalized', 'latest', '0x5', '0x6', hash].includes(params[0]);
    const result = method === 'eth_chainId' ? '0x7a69' : isHere ? block : null;
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  await new Promise<void>((resolve) => chain.listen(0, '127.0.0.1', resolve));
  const at = chain.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  front = await TlsFront.open(`http://127.0.0.1:${at.port}`);
});

afterEach(async () => {
  for (const client of clients) client.close();
  await front[Symbol.asyncDispose]();
  chain.closeAllConnections();
  chain.close();
});

function client(change: Partial<RpcEndpoint> = {}, to?: () => Promise<Duplex>): RpcClient {
  const made = new RpcClient({ ...front.endpoint, ...change }, async (address) => {
    asked.push(address);
    return to?.() ?? connect({ ...parseAddress(address) }).on('error', () => {});
  });
  clients.push(made);
  return made;
}

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

describe('rpc client', () => {
  it('rpc client: asks the endpoint of the configuration, and reads four fields', async () => {
    const one = client();
    expect(await one.chainId(soon())).toBe(31337n);
    const expected = {
      number: 5n,
      hash: 'ab'.repeat(32),
      parentHash: 'cd'.repeat(32),
      timestampS: 1_700_000_000n,
    };
    expect(await one.blockByNumber('finalized', soon())).toEqual(expected);
    expect(await one.blockByNumber(5n, soon())).toEqual(expected);
    expect(await one.blockByHash(digest('ab'.repeat(32)), soon())).toEqual(expected);
    expect(await one.blockByNumber(9n, soon())).toBeUndefined();
    expect(new Set(asked)).toEqual(new Set([front.address]));
  });

  it('rpc client: a block other than the one that was asked for is refused', async () => {
    await expect(client().blockByNumber(6n, soon())).rejects.toThrow(code('BAD_ENCODING'));
    front.fault = { kind: 'false hashes' };
    await expect(client().blockByHash(digest('ab'.repeat(32)), soon())).rejects.toThrow(code('BAD_ENCODING'));
  });

  it('rpc client: only the holder of a pinned key is asked anything', async () => {
    await using other = await TlsFront.open('http://127.0.0.1:1');
    await expect(client({ spkiPins: [other.pin] }).chainId(soon())).rejects.toThrow(code('BAD_PEER'));
    // A parent that leads elsewhere.
    const led = client({}, async () => connect(parseAddress(other.address)).on('error', () => {}));
    await expect(led.chainId(soon())).rejects.toThrow(code('BAD_PEER'));
    expect([front.asked, other.asked]).toEqual([0, 0]);
    expect(await client({ spkiPins: [other.pin, front.pin] }).chainId(soon())).toBe(31337n);
    expect(() => client({ spkiPins: [] })).toThrow(code('BAD_INPUT'));
  });

  const faults: readonly (readonly [FrontFault, string])[] = [
    [{ kind: 'garbage' }, 'BAD_ENCODING'],
    [{ kind: 'error' }, 'UNAVAILABLE'],
    [{ kind: 'status', status: 500 }, 'UNAVAILABLE'],
    [{ kind: 'closes' }, 'UNAVAILABLE'],
    [{ kind: 'huge', bytes: 100 << 20 }, 'TOO_LARGE'],
  ];
  it.each(faults)('rpc client: an endpoint that is %s', async (fault, expected) => {
    front.fault = fault;
    const one = client();
    await expect(one.chainId(soon())).rejects.toThrow(code(expected));
    front.fault = { kind: 'none' };
    expect(await one.chainId(soon())).toBe(31337n);
  });

  it('rpc client: an endpoint or a parent that does not answer ends with the deadline', async () => {
    front.fault = { kind: 'slow', ms: 60_000 };
    await expect(client().chainId(AbortSignal.timeout(50))).rejects.toThrow(code('TIMEOUT'));
    const never = client({}, () => new Promise(() => {}));
    await expect(never.chainId(AbortSignal.timeout(50))).rejects.toThrow(code('TIMEOUT'));
    const gone = client({}, () => Promise.reject(new Error('no parent')));
    await expect(gone.chainId(soon())).rejects.toThrow(code('UNAVAILABLE'));
  });
});
