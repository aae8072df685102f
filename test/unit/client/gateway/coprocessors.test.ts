import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Abi } from 'viem';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayContext } from '../../../../client/gateway/context.ts';
import { envelopeOf, upload } from '../../../../client/gateway/coprocessors.ts';
import { Encryptor } from '../../../../client/seal/encryptor.ts';
import { ciphertextsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import { type Hex, hexOf } from '../../../../gateway/adapter/chain-data.ts';
import { noble } from '../../../../shared/noble.ts';
import { toHex } from '../../../../shared/wire/bytes.ts';
import { fixture } from '../../fhe/fixture.ts';
import { ScriptedChain } from './scripted-chain.ts';

const CIPHERTEXTS: Hex = `0x${'0e'.repeat(20)}`;
const HANDLE: Hex = `0x${'aa'.repeat(24)}0000000000070101`;
const at = await fixture('test-4096', 715);
const encryptor = await Encryptor.create(at.preset, at.keyId, at.bytes.publicKey);
const [envelope, other] = [1n, 2n].map((value) => encryptor.encrypt({ kind: 'scalar', value }));

interface Played {
  status: number;
  body: Uint8Array | undefined;
  readonly got: Uint8Array[];
  readonly paths: string[];
}

let servers: Server[];
let played: Played[];
let urls: string[];

beforeEach(async () => {
  played = [1, 2, 3].map(() => ({ status: 204, body: undefined, got: [], paths: [] }));
  servers = played.map((one) =>
    createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        one.paths.push(`${request.method} ${request.url}`);
        if (request.method === 'PUT') {
          one.got.push(new Uint8Array(Buffer.concat(parts)));
          response.writeHead(one.status).end();
        } else response.writeHead(one.body === undefined ? 404 : 200).end(one.body);
      });
    }),
  );
  urls = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }),
  );
});

afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** On whose chain the handle is committed with this envelope. */
function context(): GatewayContext {
  const chain = new ScriptedChain(7n);
  chain.contracts.set(CIPHERTEXTS, {
    abi: ciphertextsAbi as Abi,
    views: { commitments: () => `0x${'01'.repeat(32)}` },
  });
  const ciphertext = {
    ...{ handle: HANDLE, keyId: `0x${at.keyId}`, digest: hexOf(noble.sha256(envelope!)), kind: 1, level: 3 },
    ...{ bound: 1n, provenance: `0x${'00'.repeat(32)}` },
  };
  chain.happened(CIPHERTEXTS, 'CiphertextCommitted', { handle: HANDLE, ciphertext });
  return {
    gateway: {
      chain: chain.chain,
      ciphertexts: { chain: chain.chain, address: CIPHERTEXTS, abi: ciphertextsAbi },
    },
    places: { coprocessors: urls },
    waiting: { timeoutMs: 2_000, pollMs: 10, onProgress: () => {} },
  } as unknown as GatewayContext;
}

describe('coprocessors', () => {
  test('upload: to all, under its digest; most must take it', async () => {
    played[2]!.status = 503;
    await upload(context(), envelope!);
    for (const one of played) {
      expect(one.paths).toEqual([`PUT /v1/envelopes/${toHex(noble.sha256(envelope!))}`]);
      expect(one.got).toEqual([envelope]);
    }
    played[1]!.status = 422;
    await expect(upload(context(), envelope!)).rejects.toMatchObject({
      ...{ code: 'UNAVAILABLE', message: expect.stringMatching(/1 of 3 .* answers 422; .* answers 503/) },
    });
  });

  test('envelopeOf: from the first that has the committed bytes; other bytes are passed by', async () => {
    [played[1]!.body, played[2]!.body] = [other, envelope];
    const { digest } = await envelopeOf(context(), HANDLE);
    expect(digest).toBe(toHex(noble.sha256(envelope!)));
    for (const one of played) expect(one.paths).toEqual([`GET /v1/ciphertexts/${HANDLE.slice(2)}`]);
  });

  test('envelopeOf: where nobody has them it is waited for in vain, and the error says for what', async () => {
    played[0]!.body = other;
    await expect(envelopeOf(context(), HANDLE)).rejects.toMatchObject({
      ...{ code: 'TIMEOUT', message: expect.stringContaining('the envelope from a coprocessor') },
    });
  });
});
