import { describe, expect, it } from 'vitest';
import { DEMO_STEPS, stepsWithNeeds } from '../../../infra/local/demo/steps.ts';

describe('demo steps', () => {
  it('stepsWithNeeds: nothing selected is everything, in order', () => {
    expect(stepsWithNeeds('')).toEqual(DEMO_STEPS);
  });

  it('stepsWithNeeds: a part comes with what it needs, in order and once', () => {
    expect(stepsWithNeeds('user-decrypt')).toEqual(['keygen', 'user-decrypt']);
    expect(stepsWithNeeds('decrypt-liar,decrypt,decrypt')).toEqual([
      'keygen',
      'encrypt',
      'eval',
      'decrypt',
      'decrypt-liar',
    ]);
  });

  it('stepsWithNeeds: refuses a name that is none', () => {
    expect(() => stepsWithNeeds('keygen,nonsense')).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
  });
});
