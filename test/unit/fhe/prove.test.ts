import { execFile } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { hostileEncryption, measure, noiseItself } from '../../../infra/presets/measure.ts';
import { secretKeyBytes } from '../../../infra/presets/wide-keys.ts';
import { inputBound } from '../../../shared/fhe/noise.ts';
import { readCiphertext, writeCiphertext } from '../../../shared/fhe/seal/ciphertext.ts';
import { type Fixture, fixture } from './fixture.ts';

let at: Fixture;
beforeAll(async () => {
  at = await fixture('test-4096', 715);
});

function prove(...args: string[]): Promise<{ code: number | string; stdout: string }> {
  return new Promise((resolve) => {
    const script = new URL('../../../infra/presets/prove.ts', import.meta.url).pathname;
    execFile(process.execPath, [script, ...args], (error, stdout) => {
      resolve({ code: error?.code ?? 0, stdout });
    });
  });
}

describe('preset proof', () => {
  it("preset proof: the noise measured is SEAL's invariant noise", () => {
    const { seal, context } = at.runtime;
    using secretKey = new seal.SecretKey();
    secretKey.loadFromArray(context, secretKeyBytes(at.preset, at.keys.secretNtt));
    using decryptor = new seal.Decryptor(context, secretKey);
    const q = at.preset.dataPrimes.reduce((product, prime) => product * prime, 1n);
    const bits = (x: bigint) => x.toString(2).length;
    const message = new BigUint64Array(at.preset.degree).fill(12n);
    const hostile = hostileEncryption(at.keys, message, noiseItself(at.preset));
    const honest = readCiphertext(at.preset, at.encrypt(BigUint64Array.of(4n)));
    for (const sample of [hostile, honest]) {
      using ciphertext = new seal.Ciphertext();
      ciphertext.loadFromArray(context, writeCiphertext(at.preset, sample));
      const budget = bits(q) - bits(measure(at.keys, sample).noise * at.preset.plainModulus) - 1;
      expect(Math.abs(decryptor.invariantNoiseBudget(ciphertext) - budget)).toBeLessThanOrEqual(1);
    }
    expect(measure(at.keys, hostile).message).toEqual(message);
  });

  it('preset proof: a hostile input is far louder than an honest one, and nearly as loud as the bound', () => {
    const message = new BigUint64Array(at.preset.degree);
    const hostile = measure(at.keys, hostileEncryption(at.keys, message, noiseItself(at.preset))).noise;
    const honest = measure(at.keys, readCiphertext(at.preset, at.encrypt(message))).noise;
    expect(hostile).toBeGreaterThan(100n * honest);
    expect(hostile).toBeLessThanOrEqual(inputBound(at.preset).bound);
    expect(10n * hostile).toBeGreaterThan(8n * inputBound(at.preset).bound);
  });

  it('preset proof: the command exits with 0 when every claim holds and 2 for wrong arguments', async () => {
    const { code, stdout } = await prove('--json', 'test-4096');
    const { ok, claims } = JSON.parse(stdout);
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(claims.length).toBeGreaterThan(15);
    expect((await prove('no-such-preset')).code).toBe(2);
  });
});
