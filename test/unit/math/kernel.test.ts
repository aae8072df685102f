import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { kernelBase64 } from '../../../shared/math/kernel/generated/kernel.ts';
import { Kernel } from '../../../shared/math/kernel/kernel.ts';

const wasm = Buffer.from(kernelBase64, 'base64');

test('kernel: has the pinned bytes', () => {
  const pin = readFileSync(
    new URL('../../../shared/math/kernel/kernel.sha256', import.meta.url),
    'utf8',
  ).trim();
  expect(createHash('sha256').update(wasm).digest('hex')).toBe(pin);
});

test('kernel: imports nothing from its host', async () => {
  expect(WebAssembly.Module.imports(await WebAssembly.compile(wasm))).toEqual([]);
});

test('kernel: memory is fixed, so views stay valid', async () => {
  const { instance } = await WebAssembly.instantiate(wasm, {});
  const memory = instance.exports.memory as WebAssembly.Memory;
  expect(memory.buffer.byteLength).toBe(64 * 2 ** 20);
  expect(() => memory.grow(1)).toThrow(RangeError);
});

test('kernel: exports exactly what its type declares', async () => {
  const declared = readFileSync(new URL('../../../shared/math/kernel/calls.ts', import.meta.url), 'utf8');
  const names = [...declared.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name);
  const { instance } = await WebAssembly.instantiate(wasm, {});
  expect(Object.keys(instance.exports).sort()).toEqual([...names, 'memory'].sort());
});

test('scratch: is zero when given and zeroed when its user returns or throws', async () => {
  const kernel = await Kernel.load();
  const seen: number[] = [];
  const use = (fail: boolean) => (at: number) => {
    seen.push(at);
    expect(kernel.bytes.subarray(at, at + 1000).every((byte) => byte === 0)).toBe(true);
    kernel.bytes.fill(255, at, at + 1000);
    if (fail) throw new RangeError();
  };
  kernel.scratch(1000, use(false));
  expect(() => kernel.scratch(1000, use(true))).toThrow(RangeError);
  kernel.scratch(1000, use(false));
  expect(new Set(seen).size).toBe(1);
  expect(kernel.bytes.subarray(seen[0]!, seen[0]! + 1000).every((byte) => byte === 0)).toBe(true);
});
