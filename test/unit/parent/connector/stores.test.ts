import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  directoryEnvelopes,
  type EnvelopeSource,
  findEnvelope,
  httpEnvelopes,
} from '../../../../parent/connector/envelopes.ts';
import { Shares } from '../../../../parent/connector/shares.ts';
import { USER_KEY_BYTES, UserKeys } from '../../../../parent/connector/user-keys.ts';
import { MAX_ENVELOPE_BYTES } from '../../../../shared/fhe/envelope.ts';

let directory: string;
const servers: Server[] = [];
const never = new AbortController().signal;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-connector-stores-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  await rm(directory, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

describe('envelope sources', () => {
  const handle = new Uint8Array(32).fill(7);
  const name = '07'.repeat(32);
  const envelope = new Uint8Array(1000).fill(1);
  const wanted = { handle, digest: sha256(envelope) };

  test('envelopes: by handle, over HTTP and from a directory', async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve(({ url: path }, response) => {
      asked.push(path);
      response.end(envelope);
    });
    expect(await httpEnvelopes(`${url}/store/`).find(`0x${name}`, never)).toEqual(envelope);
    expect(asked).toEqual([`/store/${name}`]);
    await writeFile(join(directory, name), envelope);
    expect(new Uint8Array((await directoryEnvelopes(directory).find(`0x${name}`, never))!)).toEqual(envelope);
    expect(await directoryEnvelopes(directory).find(`0x${'08'.repeat(32)}`, never)).toBeUndefined();
  });

  test('envelopes: what is missing, broken, endless or too large is not taken', async () => {
    const statusOf = async (status: number): Promise<EnvelopeSource> =>
      httpEnvelopes(await serve((_, response) => response.writeHead(status).end('no')));
    expect(await (await statusOf(404)).find(`0x${name}`, never)).toBeUndefined();
    await expect((await statusOf(500)).find(`0x${name}`, never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const good = await serve((_, response) => response.end(envelope));
    const moved = await serve((_, response) => response.writeHead(302, { location: good }).end());
    await expect(httpEnvelopes(moved).find(`0x${name}`, never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const stated = await serve((_, response) => {
      response.writeHead(200, { 'content-length': MAX_ENVELOPE_BYTES + 1 }).flushHeaders();
    });
    await expect(httpEnvelopes(stated).find(`0x${name}`, never)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    const piece = new Uint8Array(1 << 20);
    const endless = await serve((_, response) => {
      const more = (): void => void (response.destroyed || response.write(piece, () => setImmediate(more)));
      more();
    });
    await expect(httpEnvelopes(endless).find(`0x${name}`, never)).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
    await writeFile(join(directory, name), new Uint8Array(MAX_ENVELOPE_BYTES + 1));
    const large = directoryEnvelopes(directory).find(`0x${name}`, never);
    await expect(large).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('envelopes: a source that lies, fails or has nothing stands in nobody’s way', async () => {
    const lies: EnvelopeSource = { find: async () => new Uint8Array(1000) };
    const fails: EnvelopeSource = { find: () => Promise.reject(new Error('down')) };
    const empty: EnvelopeSource = { find: async () => undefined };
    const honest: EnvelopeSource = { find: async () => envelope };
    expect(await findEnvelope([lies, fails, empty, honest], wanted, never)).toEqual(envelope);
    await expect(findEnvelope([lies, fails, empty], wanted, never)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});

describe('users’ keys', () => {
  const keyOf = (i: number): Uint8Array => new Uint8Array(USER_KEY_BYTES).fill(i);
  const hashOf = (i: number): string => hexOf(sha256(keyOf(i)));

  test('user keys: by their hash alone', async () => {
    const keys = await UserKeys.open(directory);
    const stored: string[] = [];
    keys.onStored((hash) => stored.push(hash));
    await keys.put(hashOf(1), keyOf(1));
    expect(new Uint8Array((await keys.find(hashOf(1)))!)).toEqual(keyOf(1));
    expect(stored).toEqual([hashOf(1)]);
    for (const [hash, key] of [
      [hashOf(2), keyOf(3)],
      [hexOf(sha256(new Uint8Array(5))), new Uint8Array(5)],
    ] as const) {
      await expect(keys.put(hash, key)).rejects.toMatchObject({ code: 'BAD_INPUT' });
      expect(await keys.find(hash)).toBeUndefined();
    }
    await writeFile(join(directory, 'account'), 'secret');
    expect(await keys.find('account')).toBeUndefined();
    // As the next process finds it.
    expect(await (await UserKeys.open(directory)).find(hashOf(1))).toBeDefined();
  });

  test('user keys: those that nobody asks for are few, those that are asked for stay', async () => {
    const keys = await UserKeys.open(directory, 2);
    keys.ask(hashOf(1));
    for (const i of [1, 2, 3, 4, 5]) await keys.put(hashOf(i), keyOf(i));
    const known = async (): Promise<number[]> => {
      const found = await Promise.all([1, 2, 3, 4, 5].map((i) => keys.find(hashOf(i))));
      return found.flatMap((one, i) => (one === undefined ? [] : [i + 1]));
    };
    expect(await known()).toEqual([1, 4, 5]);
    // One that came before it was asked for.
    keys.ask(hashOf(4));
    await keys.put(hashOf(2), keyOf(2));
    await keys.put(hashOf(3), keyOf(3));
    expect(await known()).toEqual([1, 2, 3, 4]);
    keys.ask(hashOf(1));
    await keys.release(hashOf(1));
    expect(await known()).toEqual([1, 2, 3, 4]);
    await keys.release(hashOf(1));
    expect(await known()).toEqual([1, 3, 4]);
    expect(await readdir(directory)).toHaveLength(3);
  });
});

describe('shares', () => {
  const answerOf = (body: Uint8Array) => ({
    epoch: 3n,
    body,
    words: [1, 2, 4].map((party) => ({
      party,
      own: sha256(new Uint8Array([party])),
      signature: new Uint8Array(65).fill(party),
    })),
  });

  test('shares: kept with their answer, under their digest', async () => {
    const shares = await Shares.open(directory);
    const [first, second] = [new Uint8Array([1, 2]), new Uint8Array([3])];
    await shares.keep(7n, answerOf(first));
    await shares.keep(7n, answerOf(second));
    const again = await Shares.open(directory);
    expect(new Uint8Array((await again.share('7'))!)).toEqual(second);
    expect(new Uint8Array((await again.share('7', hexOf(sha256(first))))!)).toEqual(first);
    const kept = await again.answer(7n);
    expect(kept).toMatchObject({ epoch: 3n, digest: hexOf(sha256(second)) });
    expect(kept!.words.map(({ party, own, signature }) => [party, hexOf(own), hexOf(signature)])).toEqual(
      answerOf(second).words.map(({ party, own, signature }) => [party, hexOf(own), hexOf(signature)]),
    );
    expect(await again.share('8')).toBeUndefined();
    expect(await again.answer(8n)).toBeUndefined();
    for (const name of ['answer.json', '..', '../7', 'A'.repeat(64)]) {
      expect(await again.share('7', name)).toBeUndefined();
    }
    for (const request of ['../shares/7', '07', '-7', '7/'])
      expect(await again.share(request)).toBeUndefined();
  });

  test('shares: only so many bytes, the oldest requests go first, across processes', async () => {
    const body = (i: number): Uint8Array => new Uint8Array(400).fill(i);
    const shares = await Shares.open(directory, 5_000);
    await shares.keep(9n, answerOf(body(9)));
    await shares.keep(10n, answerOf(body(10)));
    const small = await Shares.open(directory, 2_500);
    await small.keep(11n, answerOf(body(11)));
    expect(await small.share('9')).toBeUndefined();
    expect(await small.share('11')).toBeDefined();
    await expect(access(join(directory, '9'))).rejects.toThrow();
    await mkdir(join(directory, 'other'));
    expect(await (await Shares.open(directory)).share('other')).toBeUndefined();
  });

  test('shares: an answer on disk that is damaged is none that is posted', async () => {
    const shares = await Shares.open(directory);
    await shares.keep(7n, answerOf(new Uint8Array(3)));
    for (const text of ['[]', '{"epoch":"0x3","digest":"0x","words":[]}', '{"epoch":"0x3"}']) {
      await writeFile(join(directory, '7', 'answer.json'), text);
      await expect(shares.answer(7n)).rejects.toMatchObject({ code: 'BAD_ENCODING' });
    }
  });
});
