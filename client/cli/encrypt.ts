import { MAX_ENVELOPE_BYTES, openEnvelope } from '../../shared/fhe/envelope.ts';
import { noble } from '../../shared/noble.ts';
import { type Command, networkOptions } from './command.ts';
import { readInput, writeOutput } from './file.ts';
import { keyOption, Session, short } from './session.ts';
import { valueFrom } from './value-text.ts';

export const encrypt: Command = {
  name: 'encrypt',
  summary: 'encrypt a number or a vector of numbers to a file',
  forms: ['[--key KEY] --value NUMBER -o FILE', '[--key KEY] --vector N,N,... -o FILE'],
  details: [
    'Numbers are 0 .. p-1, p being the plaintext modulus of the key; arithmetic on ciphertexts is modulo p. A vector ' +
      'has as many slots as the ring degree; those that are not given are 0.',
  ],
  examples: ['kms encrypt --value 42 -o a.ct', 'kms encrypt --key 3f2a --vector 1,2,3 -o v.ct'],
  options: {
    key: keyOption,
    value: { value: 'NUMBER', help: 'one number' },
    vector: { value: 'N,N,...', help: 'one number per slot' },
    out: { value: 'FILE', short: 'o', help: 'where the ciphertext goes' },
    ...networkOptions,
  },
  maxPositionals: 0,

  async run(given, terminal) {
    const value = valueFrom(given);
    const out = given.required('out');
    using session = await Session.open(given, terminal);
    const key = await session.key(await session.keyIdOf(given.text('key')));
    const envelope = await key.encrypt(value);
    await writeOutput(out, envelope);
    const { digest } = openEnvelope(envelope, noble);
    return {
      json: {
        file: out,
        key: key.id,
        preset: key.preset.name,
        kind: value.kind,
        digest,
        bytes: envelope.length,
      },
      lines: [
        `${out}: ${value.kind} under key ${short(key.id)} (${key.preset.name}), ${envelope.length} bytes`,
      ],
    };
  },
};

/** @throws {KmsError} BAD_INPUT, TOO_LARGE */
export function readCiphertext(path: string): Promise<Uint8Array> {
  return readInput(path, 'a ciphertext', MAX_ENVELOPE_BYTES);
}
