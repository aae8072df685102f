import type { Decryption } from '../sdk/decryption.ts';
import { type Command, KEY_EXPOSING, networkOptions, type Outcome } from './command.ts';
import { readCiphertext } from './encrypt.ts';
import { Session } from './session.ts';
import type { Terminal } from './terminal.ts';
import { valueJson, valueLine } from './value-text.ts';

export const decrypt: Command = {
  name: 'decrypt',
  summary: 'decrypt a ciphertext in public (key-exposing, development only)',
  forms: ['FILE'],
  details: [
    `${KEY_EXPOSING}.`,
    'Every node learns the value. It is the one that 2t+1 nodes signed; nodes that answered something else, or sent a ' +
      'wrong share to the others, are named.',
  ],
  options: networkOptions,
  maxPositionals: 1,

  async run(given, terminal) {
    const envelope = await readCiphertext(given.positional(0, 'the ciphertext'));
    using session = await Session.open(given, terminal);
    terminal.warn(KEY_EXPOSING);
    return decrypted(await session.client.decrypt(envelope), terminal);
  },
};

/** The value on stdout; who did not take part, or lied, beside it. */
export function decrypted({ value, agreeing, missing, culprits }: Decryption, terminal: Terminal): Outcome {
  if (culprits.length > 0)
    terminal.warn(`wrong answers from party ${culprits.join(', ')}; the value is unaffected`);
  if (missing.length > 0)
    terminal.note(`no answer from party ${missing.join(', ')}; the value is unaffected`);
  return { json: { ...valueJson(value), agreeing, missing, culprits }, lines: [valueLine(value)] };
}
