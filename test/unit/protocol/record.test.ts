import { describe, expect, test } from 'vitest';
import { galoisElements } from '../../../shared/fhe/galois.ts';
import { keyPrimes, presetByName } from '../../../shared/fhe/presets.ts';
import { digest, epochId, keyId } from '../../../shared/ids.ts';
import { keyRecordCodec, recordSizeBytes } from '../../../shared/protocol/keygen/record.ts';
import type { GaloisOption } from '../../../shared/protocol/keygen/request.ts';
import { encode } from '../../../shared/wire/codec.ts';

describe('key record', () => {
  test.each<[string, GaloisOption]>([
    ['test-4096', 'none'],
    ['test-4096', 'sum'],
    ['test-4096', 'all'],
    ['bfv-8192', 'none'],
    ['bfv-16384', 'none'],
  ])('record: of %s with Galois keys %s has the size that follows from its request', (name, option) => {
    const preset = presetByName(name);
    const element = new BigUint64Array(preset.degree * keyPrimes(preset).length);
    const digits = Array.from({ length: preset.levels }, () => element);
    const request = { request: digest('22'.repeat(32)), preset: name, galois: option };
    const record = encode(keyRecordCodec, {
      version: 1,
      networkId: digest('11'.repeat(32)),
      epoch: epochId(0),
      key: keyId('33'.repeat(32)),
      request,
      attempt: 3,
      session: digest('44'.repeat(32)),
      transcript: digest('55'.repeat(32)),
      publicKey: element,
      relinearisation: digits.map((b) => ({ b, h1: element })),
      galois: galoisElements(preset, option).map((g) => ({ element: g, b: digits })),
    });
    expect(recordSizeBytes(request)).toBe(record.length);
  });
});
