import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { keyPrimes, presetByName } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId } from '../../../shared/ids.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';
import { Ring } from '../../../shared/math/ring.ts';
import { type PublicElementOperands, publicElement } from '../../../shared/protocol/keygen/elements.ts';
import { type Mask, type MaskOwner, maskLabel } from '../../../shared/protocol/prss/labels.ts';
import { type Field, tupleHash } from '../../../shared/protocol/statement.ts';
import { concat, toHex } from '../../../shared/wire/bytes.ts';

const owner: MaskOwner = { key: keyId('a1'.repeat(32)), epoch: epochId(7) };
const generation = { transcript: digest('b2'.repeat(32)), preset: 'bfv-8192' };
const rotation = { element: 3, source: keyId('c3'.repeat(32)), target: keyId('c4'.repeat(32)) };
const opened = { h0: digest('d4'.repeat(32)), h1: digest('e5'.repeat(32)) };

/** One mask of every role. */
const masks = {
  s: { role: 's', ...generation },
  u: { role: 'u', ...generation, digit: 1 },
  e: { role: 'e', ...generation },
  e0: { role: 'e0', ...generation, digit: 1 },
  e1: { role: 'e1', ...generation, digit: 1 },
  e2: { role: 'e2', ...generation, digit: 1, ...opened },
  'galois-e': { role: 'galois-e', ...generation, digit: 1, ...rotation },
  flood: {
    role: 'flood',
    n: 13,
    t: 4,
    level: 2,
    floodBits: 77,
    switchVersion: 1,
    ciphertext: digest('f6'.repeat(32)),
  },
} as const satisfies Record<Mask['role'], Mask>;

/** What each operand is changed to: everything else of the mask stays. */
const changed: Readonly<Record<string, string | number>> = {
  transcript: digest('b3'.repeat(32)),
  preset: 'bfv-16384',
  digit: 2,
  element: 9,
  source: keyId('c5'.repeat(32)),
  target: keyId('c6'.repeat(32)),
  h0: digest('d5'.repeat(32)),
  h1: digest('e6'.repeat(32)),
  n: 14,
  t: 3,
  level: 3,
  floodBits: 78,
  switchVersion: 2,
  ciphertext: digest('f7'.repeat(32)),
};

const label = (mask: Mask, of: MaskOwner = owner): string => toHex(maskLabel(nodePrimitives, of, mask));

const operands = Object.values(masks).flatMap((mask) =>
  Object.keys(mask)
    .filter((name) => name !== 'role')
    .map((name) => [mask.role, name] as const),
);

describe('labels', () => {
  test.each(operands)('labels: the label of %s changes with its operand %s', (role, operand) => {
    const mask: Mask = masks[role];
    expect(changed[operand]).toBeDefined();
    const other = { ...mask, [operand]: changed[operand] };
    expect(label(other)).not.toBe(label(mask));
    expect(label({ ...mask })).toBe(label(mask));
  });

  test.each(Object.keys(masks) as Mask['role'][])('labels: the label of %s changes with the key', (role) => {
    expect(label(masks[role], { ...owner, key: keyId('a2'.repeat(32)) })).not.toBe(label(masks[role]));
  });

  test.each(Object.keys(masks) as Mask['role'][])(
    'labels: the label of %s changes with the epoch',
    (role) => {
      expect(label(masks[role], { ...owner, epoch: epochId(8) })).not.toBe(label(masks[role]));
    },
  );

  test('labels: all roles are distinct under the same operands', () => {
    const all = { ...masks.e2, ...masks['galois-e'], ...masks.flood };
    const roles = Object.keys(masks) as Mask['role'][];
    const labels = roles.map((role) => label({ ...all, role } as Mask));
    expect(new Set(labels).size).toBe(roles.length);
  });

  test('labels: operands of equal type do not change places', () => {
    const { h0, h1 } = opened;
    expect(label({ ...masks.e2, h0: h1, h1: h0 })).not.toBe(label(masks.e2));
    const { source, target } = rotation;
    expect(label({ ...masks['galois-e'], source: target, target: source })).not.toBe(
      label(masks['galois-e']),
    );
    const { digit, element } = masks['galois-e'];
    expect(label({ ...masks['galois-e'], digit: element, element: digit })).not.toBe(
      label(masks['galois-e']),
    );
    expect(label({ ...masks.flood, n: masks.flood.t, t: masks.flood.n })).not.toBe(label(masks.flood));
  });

  test('labels: a label is 32 bytes of SHA-256 over the type, length and value of each operand', () => {
    expect(maskLabel(nodePrimitives, owner, masks.s)).toHaveLength(32);
    expect(parsed(maskLabel(capture, owner, masks.s))).toEqual([
      'kms/v1/prss/label',
      new Uint8Array(32).fill(0xa1),
      7,
      's',
      'ternary',
      new Uint8Array(32).fill(0xb2),
      'bfv-8192',
    ]);
  });
});

const preset = presetByName('test-4096');
const ring = new Ring(await Kernel.load(), 64, keyPrimes(preset));
const element: PublicElementOperands = {
  transcript: generation.transcript,
  key: owner.key,
  epoch: owner.epoch,
  preset: preset.name,
  result: 'relinearisation',
  digit: 1,
  ...rotation,
};

describe('public element', () => {
  test.each([
    ['transcript', digest('b3'.repeat(32))],
    ['key', keyId('a2'.repeat(32))],
    ['epoch', epochId(8)],
    ['preset', 'bfv-8192'],
    ['result', 'galois'],
    ['result', 'public-key'],
    ['digit', 2],
    ['element', 5],
    ['source', keyId('c5'.repeat(32))],
    ['target', keyId('c6'.repeat(32))],
  ] as const)('public element: a changes with its operand %s', (operand, value) => {
    const a = publicElement(nodePrimitives, ring, element);
    const other = publicElement(nodePrimitives, ring, { ...element, [operand]: value });
    // Independent uniform residues of 54 bits: not one may coincide.
    expect(other.some((word, i) => word === a[i])).toBe(false);
    expect(publicElement(nodePrimitives, ring, { ...element })).toEqual(a);
  });

  test('public element: every operand has its own test', () => {
    expect(Object.keys(element).sort()).toEqual(
      ['transcript', 'key', 'epoch', 'preset', 'result', 'digit', 'element', 'source', 'target'].sort(),
    );
  });
});

/** Hashes that show what would be hashed. */
const capture = { ...nodePrimitives, sha256: (...parts: readonly Uint8Array[]) => concat(...parts) };

/** Reads a hash input back into its tuple: that this is possible is the proof of unambiguity. */
function parsed(input: Uint8Array): Field[] {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const fields: Field[] = [];
  for (let at = 0; at < input.length; ) {
    const type = input[at];
    const size = Number(view.getBigUint64(at + 1, true));
    const raw = input.slice(at + 9, at + 9 + size);
    if (raw.length !== size) throw new Error('not the encoding of a tuple');
    if (type === 1) fields.push(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw));
    else if (type === 2) fields.push(Number(new DataView(raw.buffer).getBigUint64(0, true)));
    else fields.push(raw);
    at += 9 + size;
  }
  return fields;
}

const word = fc.string({ unit: 'binary', maxLength: 12 });
const field: fc.Arbitrary<Field> = fc.oneof(word, fc.maxSafeNat(), fc.uint8Array({ maxLength: 12 }));
const tuple = fc.tuple(word, fc.array(field, { maxLength: 6 }));
const inputOf = ([domain, fields]: [string, Field[]]): Uint8Array => tupleHash(capture, domain, ...fields);
const sameTuple = (a: [string, Field[]], b: [string, Field[]]): boolean =>
  JSON.stringify(a, tagged) === JSON.stringify(b, tagged);
const tagged = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? { bytes: [...value] } : value;

describe('tuple hash', () => {
  test('tuple hash: the hashed input determines the tuple', () => {
    fc.assert(
      fc.property(tuple, ([domain, fields]) => {
        expect(parsed(inputOf([domain, fields]))).toEqual([`kms/v1/${domain}`, ...fields]);
      }),
    );
  });

  test('tuple hash: two different tuples never give the same hashed input', () => {
    fc.assert(
      fc.property(tuple, tuple, (a, b) => {
        expect(toHex(inputOf(a)) === toHex(inputOf(b))).toBe(sameTuple(a, b));
      }),
    );
  });

  test('tuple hash: bytes moved between neighbouring fields give another input', () => {
    const cut = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(40), fc.nat(40));
    fc.assert(
      fc.property(cut, ([bytes, one, other]) => {
        const split = (at: number): Field[] => [bytes.slice(0, at), bytes.slice(at)];
        const [first, second] = [Math.min(one, bytes.length), Math.min(other, bytes.length)];
        const same = toHex(inputOf(['d', split(first)])) === toHex(inputOf(['d', split(second)]));
        expect(same).toBe(first === second);
      }),
    );
  });

  test('tuple hash: the domain, the type, the count and empty fields all matter', () => {
    const tuples: [string, Field[]][] = [
      ['d', []],
      ['d', ['']],
      ['d', [new Uint8Array(0)]],
      ['d', [0]],
      ['d', [new Uint8Array(8)]],
      ['d', ['\0\0\0\0\0\0\0\0']],
      ['d', ['', '']],
      ['d', [0, 0]],
      ['d', ['ab', 'c']],
      ['d', ['a', 'bc']],
      ['d', ['abc']],
      ['da', ['bc']],
      ['', ['d']],
    ];
    expect(new Set(tuples.map((one) => toHex(inputOf(one)))).size).toBe(tuples.length);
  });

  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
    'tuple hash: %d is refused as an integer',
    (value) => {
      expect(() => tupleHash(nodePrimitives, 'd', value)).toThrow(RangeError);
    },
  );
});
