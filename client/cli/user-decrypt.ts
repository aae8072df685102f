import { type Command, KEY_EXPOSING, networkOptions } from './command.ts';
import { decrypted } from './decrypt.ts';
import { readCiphertext } from './encrypt.ts';
import { Session } from './session.ts';
import { readUserKey } from './user-key-file.ts';

export const userDecrypt: Command = {
  name: 'user-decrypt',
  summary: 'decrypt a ciphertext for you alone (key-exposing, development only)',
  forms: ['FILE [--user-key FILE]'],
  details: [
    `${KEY_EXPOSING}.`,
    'Each node encrypts its partial decryption to your key; only this process puts them together. As soon as 2t+1 of ' +
      'them agree the value stands, and nodes that sent a wrong one are named.',
  ],
  options: {
    'user-key': { value: 'FILE', help: "the file that 'kms user-keygen' wrote", default: 'user.key' },
    ...networkOptions,
  },
  maxPositionals: 1,

  async run(given, terminal) {
    const envelope = await readCiphertext(given.positional(0, 'the ciphertext'));
    const user = await readUserKey(given.required('user-key'));
    using _held = user.privateKey;
    using session = await Session.open(given, terminal);
    terminal.warn(KEY_EXPOSING);
    return decrypted(await session.client.userDecrypt(envelope, user), terminal);
  },
};
