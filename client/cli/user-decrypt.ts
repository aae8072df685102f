import type { Command } from './command.ts';
import { decrypted } from './decrypt.ts';
import { GatewaySession, gatewayOptions, hostOf, inputOptions, walletFor } from './gateway-session.ts';
import { broughtIn, operandFrom } from './input.ts';
import { readUserKey } from './user-key-file.ts';

export const userDecrypt: Command = {
  name: 'user-decrypt',
  summary: 'decrypt a handle for you alone',
  forms: ['HANDLE | FILE [--user-key FILE]'],
  details: [
    'The account signs a permit for this request, each node encrypts its partial decryption to your key, and only this process puts ' +
      'them together. As soon as 2t+1 of them agree the value stands, and nodes that sent a wrong one are named.',
    'A file is brought in first, as by kms input.',
  ],
  options: {
    'user-key': { value: 'FILE', help: "the file that 'kms user-keygen' wrote", default: 'user.key' },
    ...inputOptions,
    ...gatewayOptions,
  },
  maxPositionals: 1,

  async run(given, terminal) {
    const operand = await operandFrom(given.positional(0, 'the handle or ciphertext'));
    const userKey = await readUserKey(given.required('user-key'));
    using _held = userKey.privateKey;
    const account = await walletFor(given, terminal, 'account', 'user');
    using session = await GatewaySession.open(given, terminal, 'decrypting');
    const handle = await broughtIn(given, terminal, session, operand);
    const known = 'envelope' in operand ? { envelope: operand.envelope } : {};
    const decryption = await session.client.userDecrypt(handle, {
      ...{ account, userKey, ...hostOf(given), ...known },
    });
    session.finish();
    return decrypted(handle, decryption, terminal);
  },
};
