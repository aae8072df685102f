import { KmsError } from '../../shared/errors.ts';
import { openEnvelope } from '../../shared/fhe/envelope.ts';
import { noiseCeiling } from '../../shared/fhe/noise.ts';
import { noble } from '../../shared/noble.ts';
import { type Command, networkOptions } from './command.ts';
import { readCiphertext } from './encrypt.ts';
import { writeOutput } from './file.ts';
import { Session } from './session.ts';

const operations = ['add', 'sub', 'mul'] as const;
type Operation = (typeof operations)[number];

export const evaluate: Command = {
  name: 'eval',
  summary: 'compute on ciphertexts, as a coprocessor would',
  forms: ['add|sub|mul A B -o FILE'],
  details: [
    'Needs no node once the key has been fetched. Results carry a static noise bound; an operation whose result the ' +
      'network would refuse to decrypt is refused here. A scalar combines with a vector slot by slot.',
  ],
  examples: ['kms eval add a.ct b.ct -o sum.ct', 'kms eval mul sum.ct c.ct -o product.ct'],
  options: { out: { value: 'FILE', short: 'o', help: 'where the result goes' }, ...networkOptions },
  maxPositionals: 3,

  async run(given, terminal) {
    const word = given.positional(0, 'the operation');
    const operation: Operation =
      operations.find((known) => known === word) ??
      given.refuse(`the operation is add, sub or mul, not '${word}'`);
    const paths = [
      given.positional(1, 'the first ciphertext'),
      given.positional(2, 'the second ciphertext'),
    ] as const;
    const out = given.required('out');
    const [a, b] = await Promise.all([readCiphertext(paths[0]), readCiphertext(paths[1])]);
    const { keyId } = openEnvelope(a, noble);
    if (openEnvelope(b, noble).keyId !== keyId) {
      throw new KmsError('WRONG_KEY', `${paths[0]} and ${paths[1]} are encrypted under different keys`);
    }
    using session = await Session.open(given, terminal);
    const key = await session.key(keyId);
    using evaluator = await key.evaluator();
    const result = evaluator[operation](a, b);
    await writeOutput(out, result);
    const { digest, kind, bound, preset } = openEnvelope(result, noble);
    const noiseBits = bits(bound.bound);
    const noiseLimitBits = bits(noiseCeiling(preset, bound.level));
    return {
      json: {
        file: out,
        key: keyId,
        kind,
        level: bound.level,
        noiseBits,
        noiseLimitBits,
        digest,
        bytes: result.length,
      },
      lines: [
        `${out}: ${kind}, noise at most ${noiseBits} of ${noiseLimitBits} bits, ${result.length} bytes`,
      ],
    };
  },
};

function bits(bound: bigint): number {
  return bound.toString(2).length;
}
