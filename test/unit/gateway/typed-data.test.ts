import { hashTypedData, recoverAddress, type TypedDataParameter } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { encodeType, hashStruct, typedDigest } from '../../../shared/gateway/eip712.ts';
import { isSignedBy, recoverSigner, signDigest } from '../../../shared/gateway/signature.ts';
import { type Field, typedData, typedNames } from '../../../shared/gateway/typed-data.ts';
import { domain, hex, sampleOf, secret, signer, viemValue } from '../../vectors/gateway/typed-samples.ts';
import { codeThrown } from '../fhe/fixture.ts';

const viemDomain = {
  name: 'Threshold KMS',
  version: '1',
  chainId: domain.gatewayChainId,
  verifyingContract: hex(domain.registry),
};

describe('typed data', () => {
  test.each(typedNames)('typed data: %s hashes and signs as viem does', async (name) => {
    const fields: readonly Field[] = typedData[name];
    const types: Record<string, readonly TypedDataParameter[]> = { [name]: fields };
    const statement = sampleOf(name);
    const message = Object.fromEntries(
      fields.map((field) => [field.name, viemValue(statement[field.name]!)]),
    );
    const digest = typedDigest(domain, name, statement as Parameters<typeof hashStruct<typeof name>>[1]);
    expect(hex(digest)).toBe(hashTypedData({ domain: viemDomain, types, primaryType: name, message }));
    const account = privateKeyToAccount(hex(secret));
    expect(account.address.toLowerCase()).toBe(hex(signer));
    const ours = hex(signDigest(digest, secret));
    expect(ours).toBe(await account.signTypedData({ domain: viemDomain, types, primaryType: name, message }));
    expect((await recoverAddress({ hash: hex(digest), signature: ours })).toLowerCase()).toBe(hex(signer));
  });

  test('typed data: every field changes the digest', () => {
    for (const name of typedNames) {
      const statement = sampleOf(name);
      const before = hex(hashStruct(name, statement as never));
      for (const field of Object.keys(statement)) {
        const changed = { ...statement, [field]: other(statement[field]!) };
        expect(hex(hashStruct(name, changed as never)), `${name}.${field}`).not.toBe(before);
      }
    }
  });

  test('typed data: the domain is the gateway and the registry', () => {
    const statement = sampleOf('ResultBatch') as never;
    const digest = hex(typedDigest(domain, 'ResultBatch', statement));
    expect(hex(typedDigest({ ...domain, gatewayChainId: 1n }, 'ResultBatch', statement))).not.toBe(digest);
    const registry = domain.registry.map((byte) => byte ^ 1);
    expect(hex(typedDigest({ ...domain, registry }, 'ResultBatch', statement))).not.toBe(digest);
  });

  test('typed data: values that do not fit their type are refused', () => {
    const good = sampleOf('PublicDecryption');
    const bad: Readonly<Record<string, unknown>> = {
      requestId: -1n,
      destinationChainId: 1n << 256n,
      verifier: new Uint8Array(19),
      keyId: new Uint8Array(31),
      keyState: 256,
      epoch: 1n << 64n,
      handles: [new Uint8Array(31)],
      result: 'text',
      consumer: undefined,
    };
    for (const [field, value] of Object.entries(bad)) {
      const statement = { ...good, [field]: value } as never;
      expect(
        codeThrown(() => hashStruct('PublicDecryption', statement)),
        field,
      ).toBe('BAD_INPUT');
    }
  });

  test('typed data: the type strings have no spaces and name every field', () => {
    expect(encodeType('ResultBatch')).toBe('ResultBatch(bytes32 root,uint32 count,uint64 epoch)');
  });
});

describe('signatures', () => {
  const digest = typedDigest(domain, 'ResultBatch', sampleOf('ResultBatch') as never);
  const good = signDigest(digest, secret);
  const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

  test('signatures: the other s is refused', () => {
    const s = BigInt(hex(good.subarray(32, 64)));
    const high = Uint8Array.from(good);
    high.set(
      Uint8Array.from({ length: 32 }, (_, i) => Number(((ORDER - s) >> BigInt(8 * (31 - i))) & 255n)),
      32,
    );
    high[64] = good[64] === 27 ? 28 : 27;
    expect(codeThrown(() => recoverSigner(digest, high))).toBe('BAD_SIGNATURE');
    expect(isSignedBy(signer, digest, high)).toBe(false);
  });

  test('signatures: length, v and zeros', () => {
    for (const bad of [
      good.subarray(0, 64),
      new Uint8Array(65),
      Uint8Array.from([...good.subarray(0, 64), 1]),
    ]) {
      expect(codeThrown(() => recoverSigner(digest, bad))).toBe('BAD_SIGNATURE');
    }
    expect(isSignedBy(signer, digest, good)).toBe(true);
    expect(
      isSignedBy(
        signer,
        digest.map((byte) => byte ^ 1),
        good,
      ),
    ).toBe(false);
  });
});

function other(value: unknown): unknown {
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return value - 1;
  if (typeof value === 'bigint') return value ^ 2n;
  if (value instanceof Uint8Array) return value.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  return Array.isArray(value) ? value.slice(1) : value;
}
