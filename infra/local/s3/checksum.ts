import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html */
export const checksumAlgorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** FULL_OBJECT: of the bytes. COMPOSITE: of the checksums of the parts, then "-" and their number. */
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** base64, of a composite with "-parts". */
  readonly value: string;
  readonly type: ChecksumType;
}

export const checksumBytes: { readonly [A in ChecksumAlgorithm]: number } = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

/** A checksum over bytes that arrive in pieces. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** Big-endian. */
  digest(): Uint8Array;
}

export function runningChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  switch (algorithm) {
    case 'SHA1':
    case 'SHA256': {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    case 'CRC32': {
      let crc = 0;
      return {
        update: (bytes) => {
          crc = crc32(bytes, crc);
        },
        digest: () => bigEndian(crc),
      };
    }
    case 'CRC32C': {
      let crc = ~0;
      return {
        update: (bytes) => {
          for (const byte of bytes) crc = castagnoli[(crc ^ byte) & 255]! ^ (crc >>> 8);
        },
        digest: () => bigEndian(~crc),
      };
    }
    case 'CRC64NVME':
      return runningCrc64();
  }
}

/** base64 of the checksum of whole bytes. */
export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  const running = runningChecksum(algorithm);
  running.update(bytes);
  return Buffer.from(running.digest()).toString('base64');
}

export function headerOf(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** Whether text is base64 of as many bytes as the algorithm gives. */
export function isChecksum(algorithm: ChecksumAlgorithm, text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === checksumBytes[algorithm] && bytes.toString('base64') === text;
}

/** Reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). */
const castagnoli = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** Reflected polynomial 0x9a6c9329ac4bc9b5 (NVM Express, NVM Command Set Specification, 64b CRC), as halves. */
const nvmeHigh = new Int32Array(256);
const nvmeLow = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x9a6c9329ac4bc9b5n : crc >> 1n;
  nvmeHigh[byte] = Number(crc >> 32n) | 0;
  nvmeLow[byte] = Number(crc & 0xffffffffn) | 0;
}

function runningCrc64(): RunningChecksum {
  let high = ~0;
  let low = ~0;
  return {
    update: (bytes) => {
      for (const byte of bytes) {
        const index = (low ^ byte) & 255;
        low = nvmeLow[index]! ^ ((low >>> 8) | (high << 24));
        high = nvmeHigh[index]! ^ (high >>> 8);
      }
    },
    digest: () => Buffer.concat([bigEndian(~high), bigEndian(~low)]),
  };
}

function bigEndian(word: number): Uint8Array {
  return Uint8Array.of(word >>> 24, word >>> 16, word >>> 8, word);
}
