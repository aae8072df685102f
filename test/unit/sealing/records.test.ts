import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import {
  NODE_SCOPE,
  type Scope,
  scopeCodec,
  scopeName,
  scopeNamed,
  scopeOf,
} from '../../../shared/sealing/scope.ts';
import {
  isNewer,
  isSameState,
  isStateRecord,
  type StateRecord,
  signStateRecord,
  stateRecordCodec,
} from '../../../shared/sealing/state-record.ts';
import { decode, encode } from '../../../shared/wire/codec.ts';
import { parties } from '../../simulator/sealed-network.ts';

const key = keyId('ab'.repeat(32));
const bad = { code: 'BAD_INPUT' };

describe('scopes', () => {
  it('scope: what belongs to a key is sealed by the key and the epoch, everything else by the node', () => {
    const epoch = epochId(7);
    expect(scopeOf(`keys/${key}/seeds`, epoch)).toEqual({ kind: 'key', key, epoch });
    expect(scopeOf(`keys/${key}/a/b`, epoch)).toEqual({ kind: 'key', key, epoch });
    const others = [
      'node/identity',
      `keys/${key}`,
      `keys/${key}/`,
      `x/keys/${key}/a`,
      `keys/${'ab'.repeat(31)}/a`,
    ];
    for (const name of others) expect(scopeOf(name, epoch)).toBe(NODE_SCOPE);
  });

  it('scope: a name and a scope are one thing', () => {
    const scopes: readonly Scope[] = [
      NODE_SCOPE,
      { kind: 'key', key, epoch: epochId(0) },
      { kind: 'key', key, epoch: epochId(2 ** 32 - 1) },
    ];
    for (const scope of scopes) {
      expect(scopeNamed(scopeName(scope))).toEqual(scope);
      expect(decode(scopeCodec, encode(scopeCodec, scope))).toEqual(scope);
    }
    const hex = key as string;
    const wrong = ['', 'nodes', 'node/', `key/${hex}`, `key/${hex}/`, `key/${hex}/00`, `key/${hex}/-1`];
    const more = [
      `key/${hex}/4294967296`,
      `key/${hex}/9999999999`,
      `key/${hex.toUpperCase()}/0`,
      `key/${hex}/0/`,
    ];
    for (const name of [...wrong, ...more, `key/${hex}/0\n`]) {
      expect(() => scopeNamed(name), name).toThrow(expect.objectContaining(bad));
    }
  });
});

const held = digest('cd'.repeat(32));
const one = parties.get(partyId(1))!;
const two = parties.get(partyId(2))!;

describe('state records', () => {
  it('state record: only its owner signs it, every field of it, for this network', () => {
    const mine = signStateRecord(one, { version: 5, incarnation: 3, digest: held });
    expect(isStateRecord(two, mine)).toBe(true);
    expect(decode(stateRecordCodec, encode(stateRecordCodec, mine))).toEqual(mine);
    const forged: readonly StateRecord[] = [
      { ...mine, version: 6 },
      { ...mine, incarnation: 4 },
      { ...mine, digest: digest('ce'.repeat(32)) },
      { ...mine, party: partyId(2) },
      { ...signStateRecord(two, mine), party: partyId(1) },
    ];
    for (const each of forged) expect(isStateRecord(two, each)).toBe(false);
    expect(isStateRecord({ ...two, networkId: digest('77'.repeat(32)) }, mine)).toBe(false);
  });

  it('state record: versions come first, then boots; two of one boot are never both newer', () => {
    const number = fc.integer({ min: 1, max: 4 });
    const any = fc.record({ version: number, incarnation: number });
    fc.assert(
      fc.property(any, any, any, (...all) => {
        const [a, b, c] = all.map((one) => ({
          ...one,
          party: partyId(1),
          digest: held,
          signature: new Uint8Array(64),
        }));
        const [x, y, z] = [a!, b!, c!];
        const expected = x.version > y.version || (x.version === y.version && x.incarnation > y.incarnation);
        expect(isNewer(x, y)).toBe(expected);
        expect(isNewer(x, x)).toBe(false);
        expect([isNewer(x, y), isNewer(y, x), isSameState(x, y)].filter(Boolean)).toHaveLength(1);
        if (isNewer(x, y) && isNewer(y, z)) expect(isNewer(x, z)).toBe(true);
        expect(isNewer(x, undefined)).toBe(true);
        expect(isNewer({ ...x, version: 0 }, undefined)).toBe(false);
        expect(isSameState(x, { ...x, digest: digest('ce'.repeat(32)) })).toBe(false);
      }),
    );
  });
});
