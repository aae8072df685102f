import { describe, expect, it } from 'vitest';
import { seededRng } from '../../../infra/presets/wide-keys.ts';
import { openEnvelope, sealEnvelope } from '../../../shared/fhe/envelope.ts';
import { keyPrimes, presetByName } from '../../../shared/fhe/presets.ts';
import { writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { writePublicKey, writeRelinKeys } from '../../../shared/fhe/seal/keys.ts';
import { keyId } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import { toHex } from '../../../shared/wire/bytes.ts';

const preset = presetByName('test-4096');

/** Residues from AES-128-CTR under SHA-256 of a text, eight bytes each, reduced. */
function residues(seed: string, primes: readonly bigint[]): BigUint64Array {
  const words = new BigUint64Array(seededRng(seed)(8 * preset.degree * primes.length).slice().buffer);
  return words.map((word, i) => word % primes[Math.floor(i / preset.degree)]!);
}

describe('frozen bytes', () => {
  it('envelope: version 1', () => {
    const primes = preset.dataPrimes.slice(0, 2);
    const body = writeCiphertext(preset, {
      level: 2,
      c0: residues('c0', primes),
      c1: residues('c1', primes),
    });
    const id = keyId(toHex(Uint8Array.from({ length: 32 }, (_, i) => i)));
    const envelope = sealEnvelope(
      { keyId: id, preset, kind: 'scalar', bound: { bound: 0x0102_0304n, level: 2 } },
      body,
    );
    expect(toHex(envelope.subarray(0, 88 + 113))).toBe(
      '6b6d736301000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f09000000746573' +
        '742d343039360002040302010000000000000000000000000000000000000000000000000000000071000200' +
        '5ea110040100000071000200000000009b0284c721c9b3ae9b5857170b2b8b88987fc979acddc1d4a5ad7a49' +
        '9080c0d100020000000000000000100000000000000200000000000000000000000000f03f01000000000000' +
        '005ea110040100000018000200000000000040000000000000',
    );
    expect(openEnvelope(envelope, noble).digest).toBe(
      'b09902b4e38d11660490cee1e8ae9d754924f21bc507b233f7172de8ab8b2285',
    );
  });

  it('keys: public and relinearisation key files', () => {
    const pair = { b: residues('b', keyPrimes(preset)), a: residues('a', keyPrimes(preset)) };
    expect(toHex(noble.sha256(writePublicKey(preset, pair)))).toBe(
      'a732e4deefc4ee5b5a022143e2cce003545b115ade7aba1248170d0d56dbddf9',
    );
    expect(toHex(noble.sha256(writeRelinKeys(preset, [pair, pair, pair])))).toBe(
      'fda94b50cfc08cf772910cb24e6e65e65ac183fe24775d61c117ae8b1bb59804',
    );
  });
});
