import { describe, expect, it } from 'vitest';
import { type Options, parseArguments } from '../../../client/cli/arguments.ts';

const options: Options = {
  key: { value: 'KEY', short: 'k', help: 'which key' },
  size: { value: 'N', help: 'how many', default: '3' },
  colour: { value: 'C', help: 'which', choices: ['red', 'blue'] },
  force: { help: 'overwrite' },
  file: { value: 'FILE', help: 'which ones', repeatable: true },
};
const usage = expect.objectContaining({ name: 'KmsError', advice: "see 'kms test --help'" });
const parse = (...argv: string[]): ReturnType<typeof parseArguments> =>
  parseArguments('test', argv, options, 1);

describe('arguments', () => {
  it('parse: reads values, defaults, flags, short names and positionals', () => {
    const given = parse('file', '-k', 'abc', '--force', '--colour=red');
    expect(given.positionals).toEqual(['file']);
    expect([given.text('key'), given.text('size'), given.text('colour')]).toEqual(['abc', '3', 'red']);
    expect([given.flag('force'), given.flag('json')]).toEqual([true, false]);
    expect(given.integer('size', 1, 5)).toBe(3);
    expect(parse().integer('key', 1, 5)).toBeUndefined();
  });

  it('parse: an option that may be repeated has all its values, others the last one', () => {
    expect(parse('--file', 'a', '--file=b').texts('file')).toEqual(['a', 'b']);
    expect(parse().texts('file')).toEqual([]);
    expect(parse('-k', 'a', '-k', 'b').text('key')).toBe('b');
  });

  it('parse: refuses unknown options, missing values, surplus arguments and other choices', () => {
    for (const argv of [['--what'], ['--key'], ['--force=1'], ['a', 'b'], ['--colour', 'green']]) {
      expect(() => parse(...argv)).toThrow(usage);
    }
  });

  it('accessors: refuse what is absent or out of range', () => {
    expect(() => parse().required('key')).toThrow(usage);
    expect(() => parse().positional(0, 'FILE')).toThrow(usage);
    for (const text of ['0', '6', '-1', '1.5', '1e0', 'x', '', '99999999999999999999']) {
      expect(() => parse(`--size=${text}`).integer('size', 1, 5)).toThrow(usage);
    }
  });
});
