import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { parseAddress } from '../../../shared/address.ts';
import { epochId, partyId } from '../../../shared/ids.ts';
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  networkIdOf,
  partyOf,
} from '../../../shared/manifest.ts';
import { noble } from '../../../shared/noble.ts';
import { toHex } from '../../../shared/wire/bytes.ts';

function manifest(n = 4, t = 1): Manifest {
  return {
    name: 'test-network',
    n,
    t,
    epoch: epochId(0),
    parties: Array.from({ length: n }, (_, i) => ({
      party: partyId(i + 1),
      identity: new Uint8Array(32).fill(i + 1),
      address: `10.0.0.${i + 1}:${7000 + i}`,
    })),
  };
}

const badManifest = expect.objectContaining({ code: 'BAD_MANIFEST' });

describe('manifest', () => {
  it('manifest: bytes and network id are frozen', () => {
    const bytes = encodeManifest(manifest());
    const head = '010c000000746573742d6e6574776f726b04010000000004000000';
    expect(toHex(bytes.subarray(0, head.length / 2))).toBe(head);
    expect(bytes).toHaveLength(227);
    expect(networkIdOf(nodePrimitives, manifest())).toBe(
      'fbfd243a8a14a3e644ab0ab2bf0531226e0b977a4055b145ed087acbf3635515',
    );
    expect(networkIdOf(noble, manifest())).toBe(networkIdOf(nodePrimitives, manifest()));
  });

  it('manifest: decoding gives back what was encoded', () => {
    const sizes = fc
      .integer({ min: 1, max: 21 })
      .chain((t) => fc.record({ t: fc.constant(t), n: fc.integer({ min: 3 * t + 1, max: 64 }) }));
    fc.assert(
      fc.property(sizes, ({ n, t }) => {
        expect(decodeManifest(encodeManifest(manifest(n, t)))).toEqual(manifest(n, t));
      }),
      { numRuns: 30 },
    );
  });

  const bad: Record<string, Partial<Manifest>> = {
    'too few parties for t': { t: 2 },
    'no corruption tolerated': { t: 0 },
    'another epoch': { epoch: epochId(1) },
    'a name with spaces': { name: 'a b' },
    'an empty name': { name: '' },
    'a missing party': { parties: manifest().parties.slice(0, 3) },
    'a party twice': { parties: [0, 0, 1, 2].map((i) => manifest().parties[i]!) },
    'parties out of order': { parties: [1, 0, 2, 3].map((i) => manifest().parties[i]!) },
    'one identity twice': {
      parties: manifest().parties.map((member, i) => ({
        ...member,
        identity: new Uint8Array(32).fill(i >> 1),
      })),
    },
    'one address twice': {
      parties: manifest().parties.map((member, i) => ({ ...member, address: `10.0.0.1:${7000 + (i >> 1)}` })),
    },
    'a short identity': {
      parties: manifest().parties.map((member) => ({ ...member, identity: new Uint8Array(31) })),
    },
    'a bad address': { parties: manifest().parties.map((member) => ({ ...member, address: 'nowhere' })) },
  };
  for (const [what, change] of Object.entries(bad)) {
    it(`manifest: ${what} is BAD_MANIFEST`, () => {
      expect(() => encodeManifest({ ...manifest(), ...change })).toThrow(badManifest);
    });
  }

  it('manifest: no other byte string decodes to a manifest with the same meaning', () => {
    const bytes = encodeManifest(manifest());
    expect(() => decodeManifest(bytes.subarray(0, -1))).toThrow(badManifest);
    expect(() => decodeManifest(Uint8Array.of(...bytes, 0))).toThrow(badManifest);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at]! ^= flip;
        try {
          expect(networkIdOf(nodePrimitives, decodeManifest(changed))).not.toBe(
            networkIdOf(nodePrimitives, manifest()),
          );
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_MANIFEST' });
        }
      }),
    );
  });

  it('manifest: random bytes are BAD_MANIFEST', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => decodeManifest(bytes)).toThrow(badManifest);
      }),
    );
  });

  it('manifest: finds the party of an identity', () => {
    expect(partyOf(manifest(), new Uint8Array(32).fill(3))?.party).toBe(3);
    expect(partyOf(manifest(), new Uint8Array(32))).toBeUndefined();
  });
});

describe('address', () => {
  it('address: one spelling only', () => {
    expect(parseAddress('node-1.example.org:443')).toEqual({ host: 'node-1.example.org', port: 443 });
    expect(parseAddress('[::1]:65535')).toEqual({ host: '::1', port: 65535 });
    const bad = [
      '',
      'host',
      'host:',
      ':1',
      'host:0',
      'host:01',
      'host:65536',
      'HOST:1',
      'a b:1',
      '::1:1',
      '[::1]',
      'host:1 ',
    ];
    for (const text of [...bad, '-a:1', 'a-:1', 'a/b:1', 'a@b:1', `${'a'.repeat(300)}:1`, 'host:1\n']) {
      expect(() => parseAddress(text), text).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    }
  });
});
