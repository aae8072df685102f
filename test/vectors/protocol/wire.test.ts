import { expect, test } from 'vitest';
import { decode, encode } from '../../../shared/wire/codec.ts';
import { derivations } from './derivations.ts';
import frozen from './frozen.json' with { type: 'json' };
import { frozenForm } from './frozen-form.ts';
import { samples } from './samples.ts';

const wire: Readonly<Record<string, string>> = frozen.wire;

test.each(samples)('vectors: the bytes of $name are the frozen ones', ({ name, codec, bytes }) => {
  expect(frozenForm(bytes)).toBe(wire[name]);
  if (codec !== undefined) expect(encode(codec, decode(codec, bytes))).toEqual(bytes);
});

test('vectors: every frozen record has a sample', () => {
  expect(samples.map(({ name }) => name).sort()).toEqual(Object.keys(frozen.wire).sort());
});

test('vectors: what nodes derive and sign is what is frozen', async () => {
  expect(Object.fromEntries(await derivations())).toEqual(frozen.derivations);
});
