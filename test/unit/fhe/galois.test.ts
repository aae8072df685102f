import { describe, expect, it } from 'vitest';
import { sealRuntime } from '../../../client/seal/context.ts';
import { galoisElements, rotationElement } from '../../../shared/fhe/galois.ts';
import { presetByName } from '../../../shared/fhe/presets.ts';

const preset = presetByName('test-4096');

describe('galois', () => {
  it("galois: `all` is what SEAL's default Galois keys contain", async () => {
    const { seal, context } = await sealRuntime(preset);
    using generator = new seal.KeyGenerator(context);
    using keys = generator.createGaloisKeys();
    const present: number[] = [];
    for (let g = 3; g < 2 * preset.degree; g += 2) if (keys.hasKey(g)) present.push(g);
    expect(galoisElements(preset, 'all')).toEqual(present);
  });

  it('galois: `sum` is the swap and the rotations by powers of two, `none` is empty', () => {
    expect(galoisElements(preset, 'none')).toEqual([]);
    const sum = galoisElements(preset, 'sum');
    expect(sum.length).toBe(12);
    expect(new Set(sum)).toEqual(
      new Set([
        2 * preset.degree - 1,
        ...Array.from({ length: 11 }, (_, i) => rotationElement(preset, 2 ** i)),
      ]),
    );
    for (const element of sum) expect(galoisElements(preset, 'all')).toContain(element);
  });

  it('galois: rotations compose and wrap around', () => {
    const order = 2 * preset.degree;
    expect(rotationElement(preset, 0)).toBe(1);
    expect(rotationElement(preset, 1)).toBe(3);
    expect((rotationElement(preset, 5) * rotationElement(preset, -5)) % order).toBe(1);
    expect(rotationElement(preset, preset.degree / 2)).toBe(1);
    expect((rotationElement(preset, 700) * rotationElement(preset, 41)) % order).toBe(
      rotationElement(preset, 741),
    );
  });
});
