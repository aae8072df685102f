import { setImmediate as turn } from 'node:timers/promises';
import { decodeFunctionData } from 'viem';
import { describe, expect, test } from 'vitest';
import { decryptionsAbi } from '../../../../gateway/adapter/abi/gateway.ts';
import type { SendOutcome, TransactionCall } from '../../../../gateway/adapter/sender.ts';
import type { AskedRequest } from '../../../../parent/connector/asked.ts';
import { BatchPosting, type PublicPostable } from '../../../../parent/connector/batch-posting.ts';
import type { EnclaveBatch } from '../../../../parent/connector/enclave-client.ts';
import type { ConnectorPorts } from '../../../../parent/connector/ports.ts';
import { resultBatch } from '../../../../shared/gateway/batch.ts';

const word = (value: number): `0x${string}` => `0x${value.toString(16).padStart(64, '0')}`;
const account = `0x${'ab'.repeat(20)}` as const;
const bytes = (size: number): Uint8Array => new Uint8Array(size);

function asked(id: number): AskedRequest {
  const numbers = {
    id: BigInt(id),
    kind: 1,
    hostChainId: 2n,
    keyState: 2,
    fee: 0n,
    requestedAt: 1n,
    expiresAt: 9n,
  };
  const names = { verifier: account, consumer: account, payer: account, signedBy: 0, handles: [word(id)] };
  const words = { reference_: word(1), publicKeyHash: word(0), keyId: word(3) };
  const request = {
    ...{ ...numbers, signedBy: 0, verifier: bytes(20), consumer: bytes(20), payer: bytes(20) },
    ...{ reference: bytes(32), publicKeyHash: bytes(32), keyId: bytes(32), handles: [bytes(32)] },
  };
  return { kind: 'public', args: { ...numbers, ...names, ...words }, request } as unknown as AskedRequest;
}

const answer = (sizeBytes = 8, epoch = 0n): PublicPostable => ({
  ...{ kind: 'public', epoch, result: bytes(sizeBytes) },
  words: [{ party: 1, own: bytes(0), signature: bytes(65) }],
});

interface Played {
  readonly posting: BatchPosting;
  readonly state: { coming: boolean; over: ReadonlySet<bigint>; refused: string };
  readonly signed: EnclaveBatch[];
  /** Requests of each transaction. */
  readonly sent: (readonly bigint[])[];
}

function played(): Played {
  const state = { coming: true, over: new Set<bigint>(), refused: 'none' };
  const signed: EnclaveBatch[] = [];
  const sent: (readonly bigint[])[] = [];
  const decryptions = { address: account, abi: decryptionsAbi };
  const ports = {
    network: { gateway: { decryptions } },
    enclave: {
      async signBatch(batch: EnclaveBatch) {
        // What the enclave would refuse.
        resultBatch(batch.epoch, batch.leaves);
        signed.push(batch);
        return answer().words;
      },
    },
    sender: {
      async send(_key: string, { data }: TransactionCall): Promise<SendOutcome> {
        const { functionName, args } = decodeFunctionData({ abi: decryptionsAbi, data });
        if (functionName === 'answerPublic') sent.push([args[0].id]);
        else if (functionName === 'answerBatch') sent.push(args[1].map(({ request }) => request.id));
        if (functionName !== state.refused) return { kind: 'already' };
        return { kind: 'refused', refusal: { code: 3, message: 'no', revertData: undefined } };
      },
    },
    log: () => {},
    signal: new AbortController().signal,
  } as unknown as ConnectorPorts;
  const posting = new BatchPosting(ports, {
    areMoreComing: () => state.coming,
    isOver: (id) => state.over.has(id),
  });
  return { posting, state, signed, sent };
}

/** All of them, as soon as nothing more is coming. */
async function flushed({ posting, state }: Played, all: readonly Promise<SendOutcome>[]) {
  await turn();
  state.coming = false;
  posting.flushIfAll();
  return Promise.all(all);
}

const sorted = (ids: readonly bigint[]): readonly bigint[] => [...ids].sort((a, b) => Number(a - b));

describe('batch posting', () => {
  test('batch posting: an answer without company is posted at once and alone', async () => {
    const one = played();
    one.state.coming = false;
    await one.posting.post(asked(1), answer());
    expect([one.sent, one.signed]).toEqual([[[1n]], []]);
  });

  test('batch posting: what is ready together is one transaction, what comes later another', async () => {
    const one = played();
    await flushed(
      one,
      [1, 2, 3].map((id) => one.posting.post(asked(id), answer())),
    );
    await one.posting.post(asked(4), answer());
    expect(one.sent.map(sorted)).toEqual([[1n, 2n, 3n], [4n]]);
    expect(one.signed).toHaveLength(1);
  });

  test('batch posting: it does not wait for ever for what is coming', async () => {
    const one = played();
    await one.posting.post(asked(1), answer());
    expect(one.sent).toEqual([[1n]]);
  });

  test('batch posting: what others have answered meanwhile is left out', async () => {
    const one = played();
    const posting = [1, 2, 3].map((id) => one.posting.post(asked(id), answer()));
    one.state.over = new Set([2n]);
    const outcomes = await flushed(one, posting);
    expect(one.sent.map(sorted)).toEqual([[1n, 3n]]);
    expect(outcomes[1]).toEqual({ kind: 'already' });
  });

  test('batch posting: 64 results, 96 KiB and one epoch are the most of one', async () => {
    const many = played();
    const ids = Array.from({ length: 65 }, (_, i) => i + 1);
    await flushed(
      many,
      ids.map((id) => many.posting.post(asked(id), answer())),
    );
    expect(many.sent.map((all) => all.length).sort()).toEqual([1, 64]);
    const large = played();
    await flushed(
      large,
      [1, 2, 3, 4].map((id) => large.posting.post(asked(id), answer(40 << 10))),
    );
    expect(large.sent.map(sorted)).toEqual([
      [1n, 2n],
      [3n, 4n],
    ]);
    const epochs = played();
    await flushed(
      epochs,
      [1, 2, 3, 4].map((id) => epochs.posting.post(asked(id), answer(8, BigInt(id % 2)))),
    );
    expect(epochs.sent.map(sorted)).toEqual([
      [1n, 3n],
      [2n, 4n],
    ]);
  });

  test('batch posting: a batch that the contract refuses is posted one by one', async () => {
    const one = played();
    one.state.refused = 'answerBatch';
    const outcomes = await flushed(
      one,
      [1, 2].map((id) => one.posting.post(asked(id), answer())),
    );
    expect(one.sent.map(sorted)).toEqual([[1n, 2n], [1n], [2n]]);
    expect(outcomes).toEqual([{ kind: 'already' }, { kind: 'already' }]);
  });
});
