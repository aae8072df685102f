import { beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundleEnclave } from '../../../infra/build/bundle.ts';

let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundleEnclave('production', undefined, 'enclave/aws/attested-kms.ts');
});

/** What of AWS's SDK gets into an image. */
describe('bundled SDK', () => {
  it("bundled SDK: the environment is cut out, and the SDK's search for credentials", () => {
    expect(bundle.code.match(/\bprocess\.env\b.*/g) ?? []).toEqual([]);
    expect(bundle.code.match(/child_process|fromIni|fromSSO|fromProcess/g) ?? []).toEqual([]);
    const inputs = Object.keys(bundle.metafile.inputs).filter((path) =>
      /credential-provider|token-provider/.test(path),
    );
    expect(inputs).toEqual([]);
  });

  it('bundled SDK: nothing is required at run time, and it loads', async () => {
    expect(bundle.code).not.toMatch(/__require\(/);
    const module: unknown = await import(
      `data:text/javascript;base64,${Buffer.from(bundle.code).toString('base64')}`
    );
    expect(module).toMatchObject({ openAttestedKms: expect.any(Function) });
  });
});
