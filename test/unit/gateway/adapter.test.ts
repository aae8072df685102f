import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chainAccount, readAccount } from '../../../gateway/adapter/account.ts';
import { mayHaveLogs } from '../../../gateway/adapter/bloom.ts';
import {
  data,
  fixed,
  type Hex,
  quantity,
  readHeader,
  readLogs,
  readReceipt,
  readTransaction,
} from '../../../gateway/adapter/chain-data.ts';
import { CursorFile, extended, type Trail } from '../../../gateway/adapter/cursor.ts';
import { readLimited, writeDurably } from '../../../gateway/adapter/durable-file.ts';
import { httpEndpoint } from '../../../gateway/adapter/endpoint.ts';
import { firstFees, raisedFees } from '../../../gateway/adapter/fees.ts';
import { verdictOf } from '../../../gateway/adapter/submission.ts';
import { Turns } from '../../../gateway/adapter/turns.ts';

const hex = (byte: string, sizeBytes: number): Hex => `0x${byte.repeat(sizeBytes)}`;

let directory: string;
let server: Server | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-adapter-'));
});

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(directory, { recursive: true, force: true });
});

describe('endpoint', () => {
  /** Answers every request with this body; `ID` in it becomes the request's. */
  async function answering(body: string, status = 200): Promise<string> {
    server = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => {
        text += part.toString();
      });
      request.on('end', () => {
        const { id } = JSON.parse(text) as { readonly id: number };
        response.writeHead(status).end(body.replaceAll('ID', String(id)));
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('endpoint: gives results and refusals', async () => {
    const good = httpEndpoint({ url: await answering('{"jsonrpc":"2.0","id":ID,"result":"0x1"}') });
    expect(await good.ask('eth_chainId', [])).toEqual({ result: '0x1' });
    const error = '{"jsonrpc":"2.0","id":ID,"error":{"code":3,"message":"reverted","data":"0xAB"}}';
    server?.close();
    const refusing = httpEndpoint({ url: await answering(error, 400) });
    expect(await refusing.ask('eth_call', [])).toEqual({
      refusal: { code: 3, message: 'reverted', revertData: '0xab' },
    });
  });

  test.each([
    ['an answer of another request', '{"jsonrpc":"2.0","id":77777,"result":1}', 200, 'BAD_ENCODING'],
    ['an answer of another protocol', '{"id":ID,"result":1}', 200, 'BAD_ENCODING'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":ID}', 200, 'BAD_ENCODING'],
    ['an error without a code', '{"jsonrpc":"2.0","id":ID,"error":{"message":"x"}}', 200, 'BAD_ENCODING'],
    ['a list', '[]', 200, 'BAD_ENCODING'],
    ['no JSON', '{', 200, 'BAD_ENCODING'],
    ['a page', '<html>', 502, 'UNAVAILABLE'],
    ['a large answer', `{"jsonrpc":"2.0","id":ID,"result":"${'a'.repeat(2000)}"}`, 200, 'TOO_LARGE'],
  ])('endpoint: refuses %s', async (_, body, status, code) => {
    const endpoint = httpEndpoint({ url: await answering(body, status), maxAnswerBytes: 1000 });
    await expect(endpoint.ask('eth_call', [])).rejects.toMatchObject({ code });
  });

  test('endpoint: a large answer without a stated length is cut off', async () => {
    server = createServer((_, response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write('a'.repeat(500), () => setImmediate(more));
      };
      more();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = httpEndpoint({ url, maxAnswerBytes: 1000 });
    await expect(endpoint.ask('eth_call', [])).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('endpoint: an answer that begins in time and does not end is given up, on a connection that was used before too', async () => {
    let isSlow = false;
    server = createServer((request, response) => {
      request.resume().once('end', () => {
        response.writeHead(200);
        if (isSlow) response.write('{');
        else response.end('{"jsonrpc":"2.0","id":1,"result":1}');
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = httpEndpoint({ url, timeoutMs: 2_000 });
    expect(await endpoint.ask('eth_call', [])).toEqual({ result: 1 });
    isSlow = true;
    await expect(endpoint.ask('eth_call', [])).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('endpoint: a connection that the other side closes as it is used again is replaced', async () => {
    let requests = 0;
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => {
        body += part;
      });
      request.once('end', () => {
        requests++;
        // The second question comes over the first one's connection, and finds nobody.
        if (requests === 2) return void request.socket.destroy();
        response.end(`{"jsonrpc":"2.0","id":${JSON.parse(body).id},"result":${requests}}`);
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = httpEndpoint({ url });
    expect(await endpoint.ask('eth_call', [])).toEqual({ result: 1 });
    expect(await endpoint.ask('eth_call', [])).toEqual({ result: 3 });
  });

  test('endpoint: nobody there, or nobody who answers', async () => {
    const nobody = httpEndpoint({ url: 'http://127.0.0.1:1' });
    await expect(nobody.ask('eth_call', [])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    server = createServer(() => undefined);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(httpEndpoint({ url, timeoutMs: 50 }).ask('eth_call', [])).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
  });
});

describe('chain data', () => {
  const bad = (read: () => unknown): void =>
    expect(read).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
  const log = {
    address: hex('Aa', 20),
    topics: [hex('01', 32)],
    data: '0x',
    blockNumber: '0x5',
    blockHash: hex('02', 32),
    transactionHash: hex('03', 32),
    logIndex: '0x0',
  };

  test.each(['0x', '0x00', '0x01', '1', 1, null, '0x1g', '-0x1', `0x1${'0'.repeat(64)}`])(
    'chain data: %s is no integer',
    (value) => bad(() => quantity(value)),
  );

  test('chain data: integers have their size, bytes too', () => {
    expect(quantity('0x0')).toBe(0n);
    expect(quantity('0xff', 8)).toBe(255n);
    bad(() => quantity('0x100', 8));
    expect(fixed('0xAB', 1)).toBe('0xab');
    for (const value of ['0xab', '0xabcdef', '0xabc', 'abcd', 7]) bad(() => fixed(value, 2));
    expect(data('0x', 0)).toBe('0x');
    for (const value of ['0xababab', '0xa', '0xzz', undefined]) bad(() => data(value, 2));
  });

  test('chain data: logs', () => {
    expect(readLogs([log])[0]).toMatchObject({ address: hex('aa', 20), blockNumber: 5n, logIndex: 0 });
    for (const wrong of [
      { topics: [] },
      { topics: Array(5).fill(hex('01', 32)) },
      { removed: true },
      { address: hex('aa', 19) },
      { blockNumber: null },
      { data: '0x1' },
    ]) {
      bad(() => readLogs([{ ...log, ...wrong }]));
    }
    bad(() => readLogs({}));
    bad(() => readLogs([null]));
    const many = { length: 20_001 };
    expect(() => readLogs(Array.from(many, () => log))).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
  });

  test('chain data: headers, receipts, transactions', () => {
    for (const read of [readHeader, readReceipt, readTransaction])
      for (const value of [null, [], 'x', {}]) bad(() => read(value));
    const receipt = {
      transactionHash: hex('03', 32),
      blockNumber: '0x1',
      blockHash: hex('02', 32),
      gasUsed: '0x1',
    };
    expect(readReceipt({ ...receipt, status: '0x0' }).isSuccess).toBe(false);
    bad(() => readReceipt({ ...receipt, status: '0x2' }));
  });

  test("chain data: a bloom filter by hand (EIP-234's rule for one address)", () => {
    // keccak256 of twenty zero bytes begins 5380c7b7ae81a58e: bits 0x380, 0x7b7, 0x681.
    const bits = [0x380, 0x7b7, 0x681].reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
    const bloom: Hex = `0x${bits.toString(16).padStart(512, '0')}`;
    expect(mayHaveLogs(bloom, hex('00', 20))).toBe(true);
    expect(mayHaveLogs(bloom, hex('01', 20))).toBe(false);
    expect(mayHaveLogs(hex('ff', 256), hex('01', 20))).toBe(true);
    const without: Hex = `0x${(bits ^ (1n << 0x681n)).toString(16).padStart(512, '0')}`;
    expect(mayHaveLogs(without, hex('00', 20))).toBe(false);
  });
});

describe('cursor', () => {
  const point = (number: number): Trail[number] => ({ number: BigInt(number), hash: hex('ab', 32) });

  test('cursor: a trail is dense near its end, thin far back, and bounded', () => {
    let trail: Trail = [];
    for (let i = 1; i <= 20_000; i++) trail = extended(trail, point(i));
    const numbers = trail.map(({ number }) => Number(number));
    expect(numbers.slice(0, 64)).toEqual(Array.from({ length: 64 }, (_, i) => 20_000 - i));
    expect(numbers.length).toBeLessThan(500);
    // A fork at any depth costs at most as many blocks more as it is deep.
    for (const depth of [10, 100, 1000, 10_000]) {
      const standing = numbers.find((number) => number <= 20_000 - depth)!;
      expect(20_000 - depth - standing).toBeLessThanOrEqual(depth);
    }
  });

  test('cursor: is kept in a file, whole', async () => {
    const path = join(directory, 'a/cursor.json');
    const file = new CursorFile(path, 5n);
    expect(await file.load()).toEqual([]);
    await file.save([point(2), point(1)]);
    expect(await new CursorFile(path, 5n).load()).toEqual([point(2), point(1)]);
    await expect(new CursorFile(path, 6n).load()).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(await readdir(join(directory, 'a'))).toEqual(['cursor.json']);
  });

  test('cursor: half a new file beside it changes nothing', async () => {
    const path = join(directory, 'cursor.json');
    await new CursorFile(path, 5n).save([point(1)]);
    await writeFile(`${path}.new`, '{"chain');
    expect(await new CursorFile(path, 5n).load()).toEqual([point(1)]);
    await new CursorFile(path, 5n).save([point(2)]);
    expect(await new CursorFile(path, 5n).load()).toEqual([point(2)]);
  });

  test('cursor: files have limits', async () => {
    const path = join(directory, 'large');
    await writeDurably(path, new Uint8Array(11));
    expect(await readLimited(path, 11)).toHaveLength(11);
    await expect(readLimited(path, 10)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(writeDurably(join(path, 'x'), 'x')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});

describe('fees', () => {
  const policy = { tipWei: 2n, maxFeePerGasWei: 100n };

  test('fees: twice the base fee and the tip, up to the limit', () => {
    expect(firstFees(policy, 10n)).toEqual({ maxFeePerGas: 22n, maxPriorityFeePerGas: 2n });
    expect(firstFees(policy, 1000n)).toEqual({ maxFeePerGas: 100n, maxPriorityFeePerGas: 2n });
    expect(firstFees({ tipWei: 200n, maxFeePerGasWei: 100n }, 1n).maxPriorityFeePerGas).toBe(100n);
  });

  test('fees: raised by a quarter at least, never above the limit', () => {
    const raised = raisedFees(policy, { maxFeePerGas: 22n, maxPriorityFeePerGas: 2n }, 10n)!;
    expect(raised).toEqual({ maxFeePerGas: 28n, maxPriorityFeePerGas: 3n });
    expect(raisedFees(policy, raised, 40n)?.maxFeePerGas).toBe(82n);
    expect(raisedFees(policy, { maxFeePerGas: 90n, maxPriorityFeePerGas: 2n }, 10n)).toBe(undefined);
  });
});

test.each<[string, string]>([
  ['already known', 'known'],
  ['transaction already imported', 'known'],
  ['nonce too low: next nonce 5, tx nonce 4', 'nonce-used'],
  ['replacement transaction underpriced', 'nonce-taken'],
  ['transaction underpriced', 'fees-too-low'],
  ['max fee per gas less than block base fee', 'fees-too-low'],
  ['insufficient funds for gas * price + value', 'refused'],
])('submission: %s is %s', (message, verdict) => {
  expect(verdictOf({ code: -32000, message, revertData: undefined })).toBe(verdict);
});

test('turns: so many at once, in order, also after failures', async () => {
  const turns = new Turns(2);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const tasks = Array.from({ length: 6 }, (_, i) =>
    turns.run(async () => {
      most = Math.max(most, ++running);
      order.push(i);
      await Promise.resolve();
      running--;
      if (i % 2 === 0) throw new Error('no');
    }),
  );
  await Promise.allSettled(tasks);
  expect([most, order]).toEqual([2, [0, 1, 2, 3, 4, 5]]);
});

test('account: a key from a file, and the address that goes with it', async () => {
  const path = join(directory, 'key');
  // Foundry's first account.
  await writeFile(path, '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80\n');
  expect((await readAccount(path)).address).toBe('0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266');
  await writeFile(path, 'ac09');
  await expect(readAccount(path)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  expect(chainAccount(hex('11', 32)).address).toHaveLength(42);
});
