import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checksumAlgorithms,
  checksumOf,
  isChecksum,
  runningChecksum,
} from '../../../../infra/local/s3/checksum.ts';

// Check values of "123456789" in the catalogue of parametrised CRC algorithms (CRC-32/ISO-HDLC, CRC-32/ISCSI,
// CRC-64/NVME) and its hashes.
const known = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
};

describe('s3 checksums', () => {
  for (const algorithm of checksumAlgorithms) {
    it(`s3 checksums: ${algorithm} has its published value`, () => {
      const value = checksumOf(algorithm, Buffer.from('123456789'));
      expect(Buffer.from(value, 'base64').toString('hex')).toBe(known[algorithm]);
      expect(isChecksum(algorithm, value)).toBe(true);
      for (const bad of ['', value.slice(1), ` ${value}`, value.replace('=', ''), `${value}=`]) {
        if (bad !== value) expect(isChecksum(algorithm, bad)).toBe(false);
      }
    });

    it(`s3 checksums: ${algorithm} of pieces is that of the whole`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
          const running = runningChecksum(algorithm);
          for (const piece of pieces) running.update(piece);
          expect(Buffer.from(running.digest()).toString('base64')).toBe(
            checksumOf(algorithm, Buffer.concat(pieces)),
          );
        }),
      );
    });
  }
});
