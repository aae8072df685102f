import { describe, expect, test } from 'vitest';
import { type PublicQuestion, signersOf, valueIn } from '../../../../client/gateway/public-decryption.ts';
import { type PublicResult, type SignedAnswer, statementOf } from '../../../../gateway/adapter/answers.ts';
import { type Hex, hexOf } from '../../../../gateway/adapter/chain-data.ts';
import { codeOf } from '../../../../shared/errors.ts';
import { hashStruct } from '../../../../shared/gateway/eip712.ts';
import { batchLeaf, merkleProof, merkleRoot } from '../../../../shared/gateway/merkle.ts';
import { encodeResult } from '../../../../shared/gateway/result-bytes.ts';
import { concat } from '../../../../shared/wire/bytes.ts';
import { domain, signed, signerAddress } from './played-gateway.ts';

const fill = (byte: string, size: number): Hex => `0x${byte.repeat(size)}`;
const HANDLE = fill('5b', 32);
const asked: PublicQuestion = {
  ...{ domain, epoch: 0, requestId: 5n, hostChainId: 7n, consumer: fill('01', 20), handle: HANDLE },
};
const result: PublicResult = {
  ...{ requestId: 5n, destinationChainId: 7n, verifier: fill('09', 20), consumer: fill('01', 20) },
  ...{ hostRequest: fill('00', 32), keyId: fill('03', 32), keyState: 2, epoch: 0n, handles: [HANDLE] },
  result: hexOf(encodeResult([{ kind: 'scalar', value: 42n }])),
};
const PARTIES = [1, 2, 3];
const three = new Set(PARTIES.map(signerAddress));

/** Signed by three nodes as it is. */
function answerOf(of: PublicResult, shown: PublicResult = of): SignedAnswer {
  const signatures = PARTIES.map((party) => signed(party, 'PublicDecryption', statementOf(of)));
  return { result: shown, signatures: hexOf(concat(...signatures)), batch: undefined };
}

/** The same, second in a batch of three. */
function batched(of: PublicResult, shown: PublicResult = of): SignedAnswer & { readonly batch: object } {
  const leaf = batchLeaf(hashStruct('PublicDecryption', statementOf(of)));
  const leaves = [batchLeaf(new Uint8Array(32).fill(1)), leaf, batchLeaf(new Uint8Array(32).fill(2))];
  const batch = { root: merkleRoot(leaves), count: 3, epoch: of.epoch };
  const signatures = PARTIES.map((party) => signed(party, 'ResultBatch', batch));
  return {
    ...{ result: shown, signatures: hexOf(concat(...signatures)) },
    batch: {
      ...{ ...batch, root: hexOf(batch.root), name: hexOf(hashStruct('ResultBatch', batch)) },
      proof: merkleProof(leaves, 1).map(hexOf),
    },
  };
}

describe('answer to a public request', () => {
  test.each([
    ['of its own', answerOf(result)],
    ['in a batch', batched(result)],
  ])('signersOf: those that signed exactly this, %s', (_, answer) => {
    expect(signersOf(asked, answer)).toEqual(three);
  });

  test.each<[string, Partial<PublicResult>]>([
    ['request', { requestId: 6n }],
    ['chain', { destinationChainId: 8n }],
    ['asker', { consumer: fill('02', 20) }],
    ['contract’s request', { hostRequest: fill('01', 32) }],
    ['handle', { handles: [fill('5c', 32)] }],
    ['number of handles', { handles: [HANDLE, HANDLE] }],
  ])('signersOf: an answer to another %s is none, though nodes signed it', (_, change) => {
    for (const answer of [answerOf({ ...result, ...change }), batched({ ...result, ...change })]) {
      expect(() => signersOf(asked, answer)).toThrow('another request');
    }
  });

  test('signersOf: what was answered in another epoch asks for newer configurations', () => {
    const codes = [answerOf, batched].map((make) => {
      try {
        return signersOf(asked, make({ ...result, epoch: 1n }));
      } catch (error) {
        return codeOf(error);
      }
    });
    expect(codes).toEqual(['WRONG_EPOCH', 'WRONG_EPOCH']);
  });

  test.each<[string, Partial<PublicResult>]>([
    ['value', { result: hexOf(encodeResult([{ kind: 'scalar', value: 43n }])) }],
    ['key', { keyId: fill('04', 32) }],
    ['state of the key', { keyState: 3 }],
    ['verifier', { verifier: fill('08', 20) }],
  ])('signersOf: another %s than was signed has none of the signers', (_, change) => {
    const found = signersOf(asked, answerOf(result, { ...result, ...change }));
    expect([...found].filter((address) => three.has(address))).toEqual([]);
    expect(() => signersOf(asked, batched(result, { ...result, ...change }))).toThrow('not in the batch');
  });

  test('signersOf: signatures for another registry, and bytes that are none, count for nobody', () => {
    const elsewhere = { ...domain, registry: new Uint8Array(20) };
    const foreign = PARTIES.map((party) => signed(party, 'PublicDecryption', statementOf(result), elsewhere));
    for (const signatures of [concat(...foreign), new Uint8Array(3 * 65), new Uint8Array(64)]) {
      const found = signersOf(asked, { result, signatures: hexOf(signatures), batch: undefined });
      expect([...found].filter((address) => three.has(address))).toEqual([]);
    }
  });

  test('signersOf: one party that signs thrice is one', () => {
    const one = signed(1, 'PublicDecryption', statementOf(result));
    const signatures = hexOf(concat(one, one, one));
    expect(signersOf(asked, { result, signatures, batch: undefined })).toEqual(new Set([signerAddress(1)]));
  });

  test('valueIn: a number, or as many as a ring has coefficients', () => {
    expect(valueIn(encodeResult([{ kind: 'scalar', value: 9n }]), 'scalar')).toEqual({
      kind: 'scalar',
      value: 9n,
    });
    const values = BigUint64Array.from({ length: 4096 }, (_, i) => BigInt(i));
    expect(valueIn(encodeResult([{ kind: 'vector', values }]), 'vector')).toEqual({ kind: 'vector', values });
    for (const [size, kind] of [
      [0, 'scalar'],
      [16, 'scalar'],
      [0, 'vector'],
      [8, 'vector'],
      [12, 'vector'],
    ] as const) {
      expect(() => valueIn(new Uint8Array(size), kind)).toThrow('not one of');
    }
  });
});
