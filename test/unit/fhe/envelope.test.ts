import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { MAX_ENVELOPE_BYTES, openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { inputBound } from '../../../shared/fhe/noise.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';
import { readCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { noble } from '../../../shared/noble.ts';
import { codeThrown, type Fixture, fixture } from './fixture.ts';

let at: Fixture;
let body: Uint8Array;
let envelope: Uint8Array;
beforeAll(async () => {
  at = await fixture('test-4096', 4);
  body = at.encrypt(BigUint64Array.of(1n, 2n));
  envelope = sealEnvelope(header(), body);
});

function header() {
  return { keyId: at.keyId, preset: at.preset, kind: 'vector', bound: inputBound(at.preset) } as const;
}

// magic 0, version 4, key id 5, preset length 37, preset 41..49, kind 50, level 51, bound 52..83, body length 84, body 88.
const flaws: [string, number, number, string][] = [
  ['magic', 0, 1, 'BAD_ENCODING'],
  ['version', 4, 3, 'BAD_ENCODING'],
  ['preset length', 37, 64, 'BAD_ENCODING'],
  ['preset name', 41, 1, 'UNKNOWN_PRESET'],
  ['preset name that is not UTF-8', 41, 128, 'BAD_ENCODING'],
  ['kind', 50, 2, 'BAD_ENCODING'],
  ['level', 51, 1, 'WRONG_LEVEL'],
  ['body length', 84, 1, 'BAD_ENCODING'],
  ['body length beyond any limit', 87, 255, 'BAD_ENCODING'],
  ['body', 88, 1, 'BAD_ENCODING'],
  ['parms_id', 88 + 16, 1, 'BAD_ENCODING'],
];

describe('envelope', () => {
  it('envelope: what was sealed is opened', () => {
    const opened = openEnvelope(envelope, noble);
    expect(opened).toMatchObject(header());
    expect(opened.body).toEqual(body);
    expect({ level: 3, c0: opened.c0, c1: opened.c1 }).toEqual(readCiphertext(at.preset, body));
    expect(sealEnvelope(opened, opened.body)).toEqual(envelope);
  });

  it("envelope: the digest is SHA-256 of exactly the envelope's bytes and covers every field", () => {
    const { digest } = openEnvelope(envelope, noble);
    expect(digest).toBe(createHash('sha256').update(envelope).digest('hex'));
    const variants = [
      sealEnvelope({ ...header(), kind: 'scalar' }, body),
      sealEnvelope({ ...header(), bound: { bound: 1n, level: 3 } }, body),
      sealEnvelope(header(), at.encrypt(BigUint64Array.of(1n, 2n))),
    ];
    const digests = new Set([digest, ...variants.map((bytes) => openEnvelope(bytes, noble).digest)]);
    expect(digests.size).toBe(4);
  });

  it.each(flaws)('envelope: a changed %s is refused', (_, offset, mask, code) => {
    const bad = envelope.slice();
    bad[offset]! ^= mask;
    expect(codeThrown(() => openEnvelope(bad, noble))).toBe(code);
  });

  it('envelope: truncated, extended and oversized bytes are refused', () => {
    for (const size of [0, 3, 40, 87, 88, envelope.length - 1]) {
      expect(codeThrown(() => openEnvelope(envelope.slice(0, size), noble))).toBe('BAD_ENCODING');
    }
    const longer = new Uint8Array(envelope.length + 1);
    longer.set(envelope);
    expect(codeThrown(() => openEnvelope(longer, noble))).toBe('BAD_ENCODING');
    expect(codeThrown(() => openEnvelope(new Uint8Array(MAX_ENVELOPE_BYTES + 1), noble))).toBe('TOO_LARGE');
  });

  it('envelope: every bound of 256 bits is kept, a larger or negative one is not sealed', () => {
    const bound = { bound: (1n << 256n) - 3n, level: 3 };
    expect(openEnvelope(sealEnvelope({ ...header(), bound }, body), noble).bound).toEqual(bound);
    for (const bad of [1n << 256n, -1n]) {
      expect(codeThrown(() => sealEnvelope({ ...header(), bound: { bound: bad, level: 3 } }, body))).toBe(
        'BAD_INPUT',
      );
    }
  });

  it('envelope: a body of another level or preset is not sealed', () => {
    expect(codeThrown(() => sealEnvelope({ ...header(), bound: { bound: 1n, level: 2 } }, body))).toBe(
      'WRONG_LEVEL',
    );
    const preset = presetByName('bfv-8192');
    expect(codeThrown(() => sealEnvelope({ ...header(), preset }, body))).toBe('BAD_ENCODING');
  });
});
