import { handleFrom } from '../gateway/handle-text.ts';
import type { Command } from './command.ts';
import { actingOptions, GatewaySession, gatewayOptions, walletFor } from './gateway-session.ts';

const MAX_CHAIN_ID = 2 ** 48 - 1;

export const transfer: Command = {
  name: 'transfer',
  summary: 'take a handle to another host chain',
  forms: ['HANDLE --to CHAIN'],
  details: [
    'The account, which owns the handle, may use it on the other chain from then on: compute with it, decrypt it there. The nodes ' +
      'prove the grant and attest to it; the other chain verifies their signatures.',
  ],
  examples: ['kms transfer 0x5b..01 --to 31339'],
  options: {
    to: { value: 'CHAIN', help: 'id of the chain that it goes to' },
    account: actingOptions.account!,
    ...gatewayOptions,
  },
  maxPositionals: 1,

  async run(given, terminal) {
    const text = given.positional(0, 'the handle');
    const handle =
      handleFrom(text) ?? given.refuse(`'${text}' is no handle: 0x and 64 hex digits, from 'kms input'`);
    given.required('to');
    const toChainId = BigInt(given.integer('to', 1, MAX_CHAIN_ID) ?? 0);
    const account = await walletFor(given, terminal, 'account', 'user');
    using session = await GatewaySession.open(given, terminal, 'transferring');
    await session.client.transfer(handle, { account, toChainId });
    session.finish();
    const chain = Number(toChainId);
    return {
      json: { handle, chain, account: account.address },
      lines: [`${account.address} may use it on chain ${chain}`],
    };
  },
};
