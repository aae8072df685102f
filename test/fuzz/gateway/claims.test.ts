import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import { decodeClaim, encodeClaim, MAX_CLAIM_BYTES } from '../../../shared/gateway/policy/claim-codec.ts';
import { decodePayload } from '../../../shared/gateway/policy/payload.ts';
import { equalBytes } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import { claims } from '../../vectors/gateway/evidence-samples.ts';
import { damage, damaged } from '../protocol/damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);

describe.each(claims())('claims of $kind from anybody', (claim) => {
  it(`claims: of ${claim.kind} have one encoding`, () => {
    const valid = encodeClaim(claim);
    expect(equalBytes(encodeClaim(decodeClaim(valid)), valid)).toBe(true);
    fc.assert(
      fc.property(damage, (how) => {
        const bytes = damaged(valid, how);
        try {
          expect(equalBytes(encodeClaim(decodeClaim(bytes)), bytes)).toBe(true);
        } catch (error) {
          if (!(error instanceof KmsError)) throw error;
          expect(error.code).toBe('BAD_ENCODING');
        }
      }),
      { numRuns },
    );
  });
});

describe('claims', () => {
  it('claims: too large ones are refused', () => {
    expect(codeThrown(() => decodeClaim(new Uint8Array(MAX_CLAIM_BYTES + 1)))).toBe('TOO_LARGE');
  });

  it('claims: payloads of any bytes and kind are read or refused with a code', () => {
    const words = fc.array(
      fc.oneof(fc.bigInt(0n, 6n), fc.constantFrom(32n, 64n, 160n), fc.bigInt(0n, (1n << 256n) - 1n)),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(fc.nat(9), words, fc.nat(3), (kind, values, extra) => {
        const payload = new Uint8Array(32 * values.length + extra);
        for (const [i, value] of values.entries()) {
          for (let j = 0; j < 32; j++) payload[32 * i + j] = Number((value >> BigInt(8 * (31 - j))) & 255n);
        }
        const code = codeThrown(() => decodePayload(kind, payload));
        expect(['nothing thrown', 'BAD_ENCODING']).toContain(code);
      }),
      { numRuns: 4 * numRuns },
    );
  });
});
