import { openEnvelope } from '../../shared/fhe/envelope.ts';
import { noble } from '../../shared/noble.ts';
import { handleFrom } from '../gateway/handle-text.ts';
import type { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { readCiphertext } from './encrypt.ts';
import { GatewaySession, gatewayOptions, hostOf, inputOptions, walletFor } from './gateway-session.ts';
import type { Terminal } from './terminal.ts';

/** A ciphertext that a command is about: a handle, or an envelope that is still to be brought in. */
export type Operand = { readonly handle: `0x${string}` } | { readonly envelope: Uint8Array };

export const input: Command = {
  name: 'input',
  summary: 'bring a ciphertext to a host chain, which names it by a handle',
  forms: ['FILE [--host CHAIN] [--account FILE] [--submitter FILE]'],
  details: [
    'The file goes to the coprocessors, its digest to the chain. The account owns the handle: it may compute with it, decrypt ' +
      'it and let others use it.',
    'Until there are proofs of input a submitter vouches for it: who may bring inputs is trusted with the key.',
  ],
  examples: ['kms input a.ct', 'kms input a.ct --host 31339'],
  options: { ...inputOptions, ...gatewayOptions },
  maxPositionals: 1,

  async run(given, terminal) {
    const envelope = await readCiphertext(given.positional(0, 'the ciphertext'));
    const { keyId, kind, digest } = openEnvelope(envelope, noble);
    const account = await walletFor(given, terminal, 'account', 'user');
    const submitter = await walletFor(given, terminal, 'submitter', 'submitter');
    using session = await GatewaySession.open(given, terminal, 'input');
    const handle = await session.client.input(envelope, { account, submitter, ...hostOf(given) });
    return { json: { handle, key: keyId, kind, digest, owner: account.address }, lines: [handle] };
  },
};

/** @throws {KmsError} BAD_ENCODING for what looks like a handle and is none; what readCiphertext() throws */
export async function operandFrom(text: string): Promise<Operand> {
  const handle = handleFrom(text);
  return handle === undefined ? { envelope: await readCiphertext(text) } : { handle };
}

/** The operand's handle; an envelope is brought in first. */
export async function broughtIn(
  given: Arguments,
  terminal: Terminal,
  { client }: GatewaySession,
  operand: Operand,
): Promise<`0x${string}`> {
  if ('handle' in operand) return operand.handle;
  const account = await walletFor(given, terminal, 'account', 'user');
  const submitter = await walletFor(given, terminal, 'submitter', 'submitter');
  return client.input(operand.envelope, { account, submitter, ...hostOf(given) });
}
