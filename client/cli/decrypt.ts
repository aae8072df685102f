import type { Decryption } from '../gateway/decryption.ts';
import type { Command, Outcome } from './command.ts';
import { GatewaySession, gatewayOptions, hostOf, inputOptions, walletFor } from './gateway-session.ts';
import { broughtIn, operandFrom } from './input.ts';
import type { Terminal } from './terminal.ts';
import { valueJson, valueLine } from './value-text.ts';

export const decrypt: Command = {
  name: 'decrypt',
  summary: 'decrypt a handle in public',
  forms: ['HANDLE | FILE'],
  details: [
    'The handle becomes public on its chain, for ever, and the request and its answer stand on the gateway. The value is the one ' +
      'that 2t+1 nodes signed for this handle; their signatures are verified here.',
    'A file is brought in first, as by kms input.',
  ],
  options: { ...inputOptions, ...gatewayOptions },
  maxPositionals: 1,

  async run(given, terminal) {
    const operand = await operandFrom(given.positional(0, 'the handle or ciphertext'));
    const account = await walletFor(given, terminal, 'account', 'user');
    using session = await GatewaySession.open(given, terminal, 'decrypting');
    const handle = await broughtIn(given, terminal, session, operand);
    const decryption = await session.client.decrypt(handle, { account, ...hostOf(given) });
    session.finish();
    return decrypted(handle, decryption, terminal);
  },
};

/** The value on stdout; who did not take part, or lied, beside it. */
export function decrypted(
  handle: string,
  { value, requestId, agreeing, missing, culprits }: Decryption,
  terminal: Terminal,
): Outcome {
  if (culprits.length > 0)
    terminal.warn(`wrong answers from party ${culprits.join(', ')}; the value is unaffected`);
  if (missing.length > 0)
    terminal.note(`no word of party ${missing.join(', ')} in the answer; the value is unaffected`);
  const request = Number(requestId);
  return {
    json: { ...valueJson(value), handle, request, agreeing, missing, culprits },
    lines: [valueLine(value)],
  };
}
