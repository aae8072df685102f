import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { committee } from '../../../shared/committee.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { digest, epochId, keyId, partyId } from '../../../shared/ids.ts';
import { openCertifiedKey } from '../../../shared/protocol/keygen/record.ts';
import { verifyShare } from '../../../shared/protocol/user-decryption/sealed-share.ts';
import { decode, encode } from '../../../shared/wire/codec.ts';
import { memberships } from '../../simulator/simulation.ts';
import { samples } from '../../vectors/protocol/samples.ts';
import { damage, damaged } from './damage.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const coded = samples.filter(({ codec }) => codec !== undefined);
const bytesOf = (name: string): Uint8Array => samples.find((one) => one.name === name)!.bytes;

/** The code of what was thrown; anything but a KmsError fails. */
function refusal(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
    return codeOf(error);
  }
  return undefined;
}

describe('fuzz: decoders of peers and clients', () => {
  test.each(coded)('fuzz $name: damaged bytes are one value or BAD_ENCODING', ({ codec, bytes }) => {
    fc.assert(
      fc.property(damage, (how) => {
        const input = damaged(bytes, how);
        const code = refusal(() => {
          const value = decode(codec!, input);
          expect(encode(codec!, value)).toEqual(input);
        });
        expect(['BAD_ENCODING', undefined]).toContain(code);
      }),
      { numRuns },
    );
  });

  test.each(coded)('fuzz $name: noise behind any tag is one value or BAD_ENCODING', ({ codec }) => {
    const noise = fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(noise, ([tag, rest]) => {
        const input = Uint8Array.of(tag, ...rest);
        const code = refusal(() => expect(encode(codec!, decode(codec!, input))).toEqual(input));
        expect(['BAD_ENCODING', undefined]).toContain(code);
      }),
      { numRuns },
    );
  });

  test.each(coded)(
    'fuzz $name: no announced length makes it read or reserve more than there is',
    ({ codec, bytes }) => {
      const before = process.memoryUsage().arrayBuffers;
      for (let at = 0; at + 4 <= bytes.length; at++) {
        for (const length of [0xffffffff, 0x7fffffff, 0x00ffffff]) {
          const input = bytes.slice();
          new DataView(input.buffer).setUint32(at, length, true);
          const code = refusal(() => decode(codec!, input));
          expect(['BAD_ENCODING', undefined]).toContain(code);
        }
      }
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
    },
  );
});

describe('fuzz: signed records', () => {
  const key = keyId('53'.repeat(32));
  const electorate = memberships(committee(4, 1), 'vectors').get(partyId(1))!;

  test('fuzz certified key: a record without n - t signatures is refused, whatever its bytes', () => {
    fc.assert(
      fc.property(damage, (how) => {
        const input = damaged(bytesOf('certified key'), how);
        expect(['BAD_ENCODING', 'BAD_SIGNATURE', 'WRONG_KEY']).toContain(
          refusal(() => openCertifiedKey(electorate, key, input)),
        );
      }),
      { numRuns },
    );
  });

  test('fuzz sealed share: an answer that is not signed for the request is refused, whatever its bytes', () => {
    const scope = {
      request: Uint8Array.from({ length: 32 }, (_, i) => 5 + i),
      networkId: electorate.networkId,
      key,
      epoch: epochId(2),
      ciphertext: digest('57'.repeat(32)),
      userKey: digest('58'.repeat(32)),
      kind: 'vector',
      level: 2,
    } as const;
    fc.assert(
      fc.property(damage, (how) => {
        const input = damaged(bytesOf('sealed share'), how);
        const code = refusal(() => verifyShare(input, scope, electorate.identities, nodePrimitives));
        expect(['BAD_ENCODING', 'BAD_INPUT', 'BAD_SIGNATURE']).toContain(code);
      }),
      { numRuns },
    );
  });
});
