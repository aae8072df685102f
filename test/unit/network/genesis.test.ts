import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { digest } from '../../../shared/ids.ts';
import {
  decodeGenesis,
  encodeGenesis,
  type GatewayAnchor,
  type Genesis,
  NO_GATEWAY,
  networkIdOf,
} from '../../../shared/network/genesis.ts';
import { classOf, networkClasses } from '../../../shared/network/network-class.ts';
import type { RpcSet } from '../../../shared/network/rpc.ts';
import { noble } from '../../../shared/noble.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';
import { governanceOf, mockGenesis, operators } from '../../simulator/network.ts';

const badGenesis = expect.objectContaining({ code: 'BAD_GENESIS' });
const genesis = mockGenesis(operators(4));
const pin = digest('11'.repeat(32));
const otherPin = digest('22'.repeat(32));

const gateway: GatewayAnchor = {
  chainId: 1n,
  registry: new Uint8Array(20).fill(7),
  registryCodeHash: digest('33'.repeat(32)),
  finality: { kind: 'depth', blocks: 12 },
};
const endpoint = (host: string) => ({ url: `https://${host}/v1?key=a`, spkiPins: [pin] });
const rpc: RpcSet = { k: 2, endpoints: ['a.example', 'b.example:8443', 'c.example'].map(endpoint) };
const onChain: Genesis = { ...genesis, class: 'production', gateway, rpc };

describe('genesis', () => {
  it('genesis: the id is SHA-256 of domain and bytes, behind the tag of the class', () => {
    const tags = { production: '6b6d7300', lab: '6c616200', mock: '6d6f636b' };
    for (const one of networkClasses) {
      const of = { ...onChain, class: one };
      const hash = createHash('sha256').update('kms/v1/genesis').update(encodeGenesis(of)).digest('hex');
      expect(networkIdOf(nodePrimitives, of)).toBe(tags[one] + hash.slice(8));
      expect(networkIdOf(noble, of)).toBe(networkIdOf(nodePrimitives, of));
      expect(classOf(networkIdOf(noble, of))).toBe(one);
    }
    expect(classOf(digest('00'.repeat(32)))).toBeUndefined();
  });

  it('genesis: a production network has a gateway', () => {
    const without = { ...onChain, gateway: NO_GATEWAY, rpc: { k: 0, endpoints: [] } };
    expect(() => encodeGenesis(without)).toThrow(expect.objectContaining({ code: 'BAD_GENESIS' }));
    for (const other of ['lab', 'mock'] as const) encodeGenesis({ ...without, class: other });
  });

  it('genesis: decoding gives back what was encoded', () => {
    for (const one of [
      genesis,
      onChain,
      { ...onChain, gateway: { ...gateway, finality: NO_GATEWAY.finality } },
    ]) {
      expect(decodeGenesis(encodeGenesis(one))).toEqual(one);
    }
  });

  it('genesis: every change of it is another network', () => {
    const bytes = encodeGenesis(onChain);
    const id = networkIdOf(nodePrimitives, onChain);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at]! ^= flip;
        try {
          expect(networkIdOf(nodePrimitives, decodeGenesis(changed))).not.toBe(id);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_GENESIS' });
        }
      }),
      { numRuns: 60 },
    );
  });

  const four = operators(4);
  const bad: Record<string, Partial<Genesis>> = {
    'an empty name': { name: '' },
    'a name with spaces': { name: 'a b' },
    'a name of 65 characters': { name: 'a'.repeat(65) },
    'no attestation root': { attestationRoot: digest('00'.repeat(32)) },
    'three governance keys': { governance: governanceOf(four.slice(1)) },
    'a quorum below 2t+1': { governance: { ...governanceOf(four), quorum: 2 } },
    'a quorum that needs everybody': { governance: { ...governanceOf(four), quorum: 4 } },
    'a quorum of 2t+1 of five, where two can meet in one corrupt key': {
      governance: { ...governanceOf(operators(5)), quorum: 3 },
    },
    'one governance key twice': { governance: governanceOf([0, 0, 1, 2].map((i) => four[i]!)) },
    'a governance key that is no point': {
      governance: {
        ...governanceOf(four),
        keys: [new Uint8Array(32).fill(0xff), ...governanceOf(four).keys.slice(1)],
      },
    },
    'a gateway without registry': { gateway: { ...gateway, registry: new Uint8Array(20) }, rpc },
    'a gateway without code hash': {
      gateway: { ...gateway, registryCodeHash: NO_GATEWAY.registryCodeHash },
      rpc,
    },
    'a registry without chain': { gateway: { ...gateway, chainId: 0n }, rpc },
    'no confirmation': { gateway: { ...gateway, finality: { kind: 'depth', blocks: 0 } }, rpc },
    'a gateway that nobody can ask': { gateway },
    'endpoints without a gateway': { rpc },
    'half of the endpoints agreeing': { gateway, rpc: { k: 1, endpoints: rpc.endpoints.slice(1) } },
    'more agreeing endpoints than there are': { gateway, rpc: { ...rpc, k: 4 } },
    'an endpoint twice': {
      gateway,
      rpc: { k: 2, endpoints: [endpoint('a.example'), endpoint('a.example')] },
    },
    'an endpoint without TLS': {
      gateway,
      rpc: { k: 1, endpoints: [{ url: 'http://a.example/', spkiPins: [pin] }] },
    },
    'an endpoint with a password': {
      gateway,
      rpc: { k: 1, endpoints: [{ url: 'https://u:p@a.example/', spkiPins: [pin] }] },
    },
    'an endpoint at no port': {
      gateway,
      rpc: { k: 1, endpoints: [{ url: 'https://a.example:70000/', spkiPins: [pin] }] },
    },
    'an endpoint without pins': {
      gateway,
      rpc: { k: 1, endpoints: [{ ...endpoint('a.example'), spkiPins: [] }] },
    },
    'a pin twice': {
      gateway,
      rpc: { k: 1, endpoints: [{ ...endpoint('a.example'), spkiPins: [pin, pin] }] },
    },
    'a pin of zeros': {
      gateway,
      rpc: {
        k: 1,
        endpoints: [{ ...endpoint('a.example'), spkiPins: [otherPin, NO_GATEWAY.registryCodeHash] }],
      },
    },
  };
  for (const [what, change] of Object.entries(bad)) {
    it(`genesis: ${what} is BAD_GENESIS`, () => {
      expect(() => encodeGenesis({ ...genesis, ...change })).toThrow(badGenesis);
      expect(() => networkIdOf(nodePrimitives, { ...genesis, ...change })).toThrow(badGenesis);
    });
  }

  it('genesis: a key of small order, for which anybody can sign, is no governance key', () => {
    // The points of order 1, 2, 4 and 8 (RFC 7748 has their u-coordinates).
    const small = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0000000000000000000000000000000000000000000000000000000000000000',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    ].map(fromHex);
    for (const key of small) {
      const keys = [...governanceOf(operators(4)).keys.slice(1), key];
      expect(() => encodeGenesis({ ...genesis, governance: { keys, quorum: 3 } }), toHex(key)).toThrow(
        badGenesis,
      );
    }
  });

  it('genesis: bytes before, behind or cut off are refused', () => {
    const bytes = encodeGenesis(genesis);
    for (const wrong of [
      bytes.subarray(0, -1),
      Uint8Array.of(...bytes, 0),
      bytes.subarray(1),
      new Uint8Array(0),
    ]) {
      expect(() => decodeGenesis(wrong)).toThrow(badGenesis);
    }
    expect(() => decodeGenesis(new Uint8Array(40_000))).toThrow(badGenesis);
  });
});
