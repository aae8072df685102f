import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { digest, epochId, partyId } from '../../../shared/ids.ts';
import type { ChainAccess } from '../../../shared/network/chain-access.ts';
import {
  type Configuration,
  checkConfiguration,
  configurationDigest,
  type Member,
  memberOf,
} from '../../../shared/network/configuration.ts';
import { decodeConfigurations, encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import {
  decodeSignedConfiguration,
  encodeSignedConfiguration,
} from '../../../shared/network/signed-configuration.ts';
import type { Storage } from '../../../shared/network/storage.ts';
import { noble } from '../../../shared/noble.ts';
import {
  founding,
  governanceOf,
  measurement,
  mockGenesis,
  operators,
  signedBy,
} from '../../simulator/network.ts';

const signers = operators(4);
const genesis = mockGenesis(signers);
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `10.0.0.${i}:${7000 + i}`,
}));
const zero = founding(genesis, members);
const badConfiguration = expect.objectContaining({ code: 'BAD_CONFIGURATION' });

const host = (chainId: bigint, change: Partial<ChainAccess> = {}): ChainAccess => ({
  chainId,
  finality: { kind: 'finalized' },
  maxHeadAgeS: 60,
  rpc: { k: 1, endpoints: [{ url: 'https://a.example/', spkiPins: [digest('11'.repeat(32))] }] },
  ...change,
});

/** A large committee with long addresses. */
function manyMembers(): readonly Member[] {
  const all = Array.from({ length: 64 }, (_, i) => ({
    identity: new Uint8Array(32).fill(i + 1),
    address: `${'n'.repeat(200)}${i}.example:443`,
  }));
  return founding(genesis, all).members;
}

describe('configuration', () => {
  it('configuration: decoding gives back what was encoded, signatures included', () => {
    const signed = measurement(30);
    const variants: Partial<Configuration>[] = [
      {},
      { measurements: [measurement(10), { ...signed, pcr8: new Uint8Array(48).fill(9) }, signed] },
      { custodians: [digest('55'.repeat(32))] },
      { maxHeadAgeS: 900, hosts: [host(2n), host(3n, { finality: { kind: 'depth', blocks: 9 } })] },
      { number: 7, predecessor: digest('66'.repeat(32)), activationBlock: 5, overlapUntilBlock: 2 ** 32 - 1 },
    ];
    for (const change of variants) {
      const one = signedBy(signers.slice(1), { ...zero, ...change });
      expect(decodeSignedConfiguration(encodeSignedConfiguration(one))).toEqual(one);
      expect(decodeConfigurations(encodeConfigurations([one, one]))).toEqual([one, one]);
    }
  });

  it('configuration: its digest is the same everywhere, and another one for every other configuration', () => {
    const digests = [
      zero,
      founding({ ...genesis, name: 'another' }, members),
      founding(genesis, [...members.slice(0, 3), { ...members[3]!, address: '10.0.0.4:1' }]),
      { ...zero, measurements: [measurement(11)] },
    ].map((one) => {
      expect(configurationDigest(noble, one)).toBe(configurationDigest(nodePrimitives, one));
      return configurationDigest(noble, one);
    });
    expect(new Set(digests).size).toBe(4);
  });

  it('configuration: finds the member of an identity', () => {
    expect(memberOf(zero, new Uint8Array(32).fill(3))?.party).toBe(3);
    expect(memberOf(zero, new Uint8Array(32))).toBeUndefined();
  });

  const list = zero.members;
  /** Two members have what `of` takes from the first; the key's account goes with its role. */
  const stored = (of: (storage: Storage) => Partial<Storage>): Partial<Configuration> => ({
    members: list.map((member, i) => {
      if (i !== 1) return member;
      const change = of(list[0]!.storage);
      const role = change.kmsKey === undefined ? member.storage.role : list[0]!.storage.role;
      return { ...member, storage: { ...member.storage, ...change, role } };
    }),
  });
  const badStorage: Record<string, (member: Member) => Partial<Storage>> = {
    'a key by its alias': () => ({ kmsKey: 'arn:aws:kms:eu-central-1:000000000001:alias/node' }),
    'a key by its bare id': () => ({ kmsKey: '00000000-0000-4000-8000-000000000001' }),
    'a multi-region key': ({ storage }) => ({ kmsKey: storage.kmsKey.replace(':key/', ':key/mrk-') }),
    'a key of another partition': ({ storage }) => ({
      kmsKey: storage.kmsKey.replace('arn:aws:', 'arn:aws-cn:'),
    }),
    'a key with something behind it': ({ storage }) => ({ kmsKey: `${storage.kmsKey}/x` }),
    'a region that leads to another host': ({ storage }) => ({
      kmsKey: storage.kmsKey.replace('eu-central-1', 'evil.example/'),
    }),
    'a role of another account': () => ({ role: 'arn:aws:iam::999999999999:role/node' }),
    'a role that is a user': ({ storage }) => ({ role: storage.role.replace(':role/', ':user/') }),
    'a role for everybody': ({ storage }) => ({ role: storage.role.replace('/node', '/*') }),
    'a bucket that is a path': ({ party }) => ({ bucket: `a/${party}` }),
    'a bucket in capitals': ({ party }) => ({ bucket: `KMS-${party}` }),
    'a bucket with dots': ({ party }) => ({ bucket: `kms.test.${party}` }),
    'a short bucket': () => ({ bucket: 'ab' }),
  };
  const badHosts: Record<string, readonly ChainAccess[]> = {
    'chain 0': [host(0n)],
    'a chain id that fits no handle': [host(1n << 48n)],
    'a chain twice': [host(2n), host(2n)],
    'chains out of order': [host(3n), host(2n)],
    'too many chains': Array.from({ length: 9 }, (_, i) => host(BigInt(i + 1))),
    'no confirmations': [host(2n, { finality: { kind: 'depth', blocks: 0 } })],
    'heads of no age': [host(2n, { maxHeadAgeS: 0 })],
    'heads of any age': [host(2n, { maxHeadAgeS: 86_401 })],
    'no endpoints': [host(2n, { rpc: { k: 0, endpoints: [] } })],
    'half of the endpoints': [host(2n, { rpc: { ...host(2n).rpc, k: 0 } })],
  };
  for (const [name, hosts] of Object.entries(badHosts)) {
    it(`configuration: host chains with ${name} are refused`, () => {
      expect(() => checkConfiguration({ ...zero, hosts })).toThrow(badConfiguration);
      expect(() => encodeSignedConfiguration({ configuration: { ...zero, hosts }, signatures: [] })).toThrow(
        badConfiguration,
      );
    });
  }

  it('configuration: what is too large to be read is not written', () => {
    const endpoints = Array.from({ length: 16 }, (_, i) => ({
      url: `https://${i}.example/${'x'.repeat(200)}`,
      spkiPins: [1, 2, 3, 4].map((pin) => digest(`${pin}${pin}`.repeat(32))),
    }));
    const rpc = { k: 9, endpoints };
    const hosts = Array.from({ length: 8 }, (_, i) => host(BigInt(i + 1), { rpc }));
    const large = { configuration: { ...zero, hosts }, signatures: [] };
    expect(decodeSignedConfiguration(encodeSignedConfiguration(large))).toEqual(large);
    const tooLarge = { ...large.configuration, t: 1, members: manyMembers() };
    checkConfiguration(tooLarge);
    expect(() => encodeSignedConfiguration({ configuration: tooLarge, signatures: [] })).toThrow(
      badConfiguration,
    );
  });

  const first = measurement(10);
  const bad: Record<string, Partial<Configuration>> = {
    'too few parties for t': { t: 2 },
    'no corruption tolerated': { t: 0 },
    'a missing party': { members: list.slice(0, 3) },
    'a party twice': { members: [0, 0, 1, 2].map((i) => list[i]!) },
    'parties out of order': { members: [1, 0, 2, 3].map((i) => list[i]!) },
    'a party beyond n': { members: [...list.slice(0, 3), { ...list[3]!, party: partyId(5) }] },
    'one identity twice': {
      members: list.map((member, i) => ({ ...member, identity: list[i >> 1]!.identity })),
    },
    'one address twice': {
      members: list.map((member, i) => ({ ...member, address: list[i >> 1]!.address })),
    },
    'a short identity': { members: list.map((member) => ({ ...member, identity: new Uint8Array(31) })) },
    'a bad address': { members: list.map((member) => ({ ...member, address: 'nowhere' })) },
    'a short boot key': { members: list.map((member) => ({ ...member, bootKey: new Uint8Array(31) })) },
    'one boot key twice': {
      members: list.map((member, i) => ({ ...member, bootKey: list[i >> 1]!.bootKey })),
    },
    'a boot key that is an identity': {
      members: list.map((member, i) => (i === 0 ? { ...member, bootKey: list[3]!.identity } : member)),
    },
    ...Object.fromEntries(
      Object.entries(badStorage).map(([what, change]) => [
        what,
        { members: list.map((member) => ({ ...member, storage: { ...member.storage, ...change(member) } })) },
      ]),
    ),
    'one KMS key twice': stored(({ kmsKey }) => ({ kmsKey })),
    'one bucket twice': stored(({ bucket }) => ({ bucket })),
    'no measurement at all': { measurements: [] },
    'a measurement twice': { measurements: [first, measurement(10)] },
    'a short register': { measurements: [{ ...first, pcr1: new Uint8Array(47).fill(1) }] },
    'PCR0 all zero, as in debug mode': { measurements: [{ ...first, pcr0: new Uint8Array(48) }] },
    'PCR1 all zero': { measurements: [{ ...first, pcr1: new Uint8Array(48) }] },
    'PCR2 all zero': { measurements: [{ ...first, pcr2: new Uint8Array(48) }] },
    'PCR8 all zero': { measurements: [{ ...first, pcr8: new Uint8Array(48) }] },
    'three governance keys': { governance: governanceOf(signers.slice(1)) },
    'a low governance quorum': { governance: { ...governanceOf(signers), quorum: 2 } },
    'a custodian twice': { custodians: [digest('55'.repeat(32)), digest('55'.repeat(32))] },
    'number 0 that begins later': { activationBlock: 1 },
    'number 0 with a window': { overlapUntilBlock: 1 },
    'number 0 with a predecessor': { predecessor: digest('66'.repeat(32)) },
    'number 0 of another epoch': { epoch: epochId(1) },
    'a window that ends before it begins': { number: 1, activationBlock: 10, overlapUntilBlock: 9 },
  };
  for (const [what, change] of Object.entries(bad)) {
    it(`configuration: ${what} is BAD_CONFIGURATION`, () => {
      const wrong = { ...zero, ...change };
      expect(() => checkConfiguration(wrong)).toThrow(badConfiguration);
      expect(() => encodeSignedConfiguration({ configuration: wrong, signatures: [] })).toThrow(
        badConfiguration,
      );
    });
  }

  it('configuration: trailing, missing and excess bytes are refused', () => {
    const bytes = encodeSignedConfiguration(signedBy(signers, zero));
    for (const wrong of [bytes.subarray(0, -1), Uint8Array.of(...bytes, 0), new Uint8Array(70_000)]) {
      expect(() => decodeSignedConfiguration(wrong)).toThrow(badConfiguration);
      expect(() => decodeConfigurations(wrong)).toThrow(badConfiguration);
    }
  });

  it('configuration: signatures out of order, or twice by one key, do not decode', () => {
    const { configuration, signatures } = signedBy(signers, zero);
    for (const wrong of [[...signatures].reverse(), [signatures[0]!, signatures[0]!]]) {
      const bytes = encodeSignedConfiguration({ configuration, signatures: wrong });
      expect(() => decodeSignedConfiguration(bytes)).toThrow(badConfiguration);
    }
  });
});
