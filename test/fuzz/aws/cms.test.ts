import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openEnvelope, readEnvelope } from '../../../enclave/aws/cms.ts';
import { codeOf } from '../../../shared/errors.ts';
import { parseStrictJson } from '../../../shared/sealing/strict-json.ts';
import { frozenKey, frozenMessages } from '../../vectors/aws/cms-key.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 300);
const key = frozenKey();

test('fuzz CMS: damaged messages are BAD_ENCODING, or have the fields of no other encoding', () => {
  fc.assert(
    fc.property(fc.constantFrom(...frozenMessages), damage, ({ envelope }, how) => {
      const bytes = damaged(envelope, how);
      try {
        readEnvelope(bytes);
      } catch (error) {
        expect(codeOf(error)).toBe('BAD_ENCODING');
        return;
      }
      // What is read holds all bytes but the fixed ones: damage of the form is never read.
      expect(bytes).toHaveLength(envelope.length);
    }),
    { numRuns },
  );
});

test('fuzz CMS: what does not open is BAD_ENCODING, and gives no other plaintext of the length', () => {
  fc.assert(
    fc.property(fc.constantFrom(...frozenMessages), damage, ({ envelope }, how) => {
      try {
        openEnvelope(damaged(envelope, how), key);
      } catch (error) {
        expect(codeOf(error)).toBe('BAD_ENCODING');
      }
    }),
    { numRuns },
  );
});

test('fuzz CMS: any bytes are BAD_ENCODING', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(() => readEnvelope(bytes)).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }));
    }),
    { numRuns },
  );
});

test('fuzz strict JSON: what is read means what JSON.parse means, and its one writing is the text without spaces', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.stringMatching(/^[ !#-[\]-~]*$/),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.stringMatching(/^[a-zA-Z:*]{1,8}$/), tie('any'), { maxKeys: 4 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, fc.nat(3), (one, indent) => {
      expect(parseStrictJson(JSON.stringify(one, undefined, indent))).toEqual(
        JSON.parse(JSON.stringify(one)),
      );
    }),
    { numRuns },
  );
});

test('fuzz strict JSON: any text is read as by JSON.parse, or refused', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b"',
    '""',
    'true',
    'null',
    '1',
    ' ',
    '"\\u0061"',
    '__proto__',
  );
  fc.assert(
    fc.property(
      fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join('')),
      (text) => {
        try {
          expect(parseStrictJson(text)).toEqual(JSON.parse(text));
        } catch (error) {
          if (codeOf(error) !== 'BAD_ENCODING') throw error;
        }
      },
    ),
    { numRuns: 10 * numRuns },
  );
});
