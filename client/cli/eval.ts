import { handleFrom } from '../gateway/handle-text.ts';
import type { Computation } from '../gateway/handles.ts';
import type { Arguments } from './arguments.ts';
import type { Command } from './command.ts';
import { actingOptions, GatewaySession, gatewayOptions, hostOf, walletFor } from './gateway-session.ts';

const operations = ['add', 'sub', 'mul'] as const;
const plainOperations = { add: 'addPlain', mul: 'mulPlain' } as const;

export const evaluate: Command = {
  name: 'eval',
  summary: 'compute on handles, on their chain',
  forms: ['add|sub|mul HANDLE HANDLE', 'add|mul HANDLE NUMBER'],
  details: [
    'The host chain names the result and the coprocessors compute it; done when they have committed it. The chain derives a ' +
      'static noise bound, and refuses what the network would refuse to decrypt. A scalar combines with a vector slot by slot.',
    'The account must be allowed both handles, and owns the result.',
  ],
  examples: ['kms eval add 0x5b..01 0x9c..01', 'kms eval mul 0x5b..01 3'],
  options: { ...actingOptions, ...gatewayOptions },
  maxPositionals: 3,

  async run(given, terminal) {
    const computation = computationFrom(given);
    const account = await walletFor(given, terminal, 'account', 'user');
    using session = await GatewaySession.open(given, terminal, 'computing');
    const handle = await session.client.compute(computation, { account, ...hostOf(given) });
    return { json: { handle, operation: computation.operation, owner: account.address }, lines: [handle] };
  },
};

/** @throws {UsageError}; {KmsError} BAD_ENCODING for what looks like a handle and is none */
function computationFrom(given: Arguments): Computation {
  const word = given.positional(0, 'the operation');
  const operation = operations.find((known) => known === word);
  if (operation === undefined) return given.refuse(`the operation is add, sub or mul, not '${word}'`);
  const [first, second] = [
    given.positional(1, 'the first handle'),
    given.positional(2, 'the second operand'),
  ];
  const a =
    handleFrom(first) ?? given.refuse(`'${first}' is no handle: 0x and 64 hex digits, from 'kms input'`);
  const b = handleFrom(second);
  if (b !== undefined) return { operation, a, b };
  if (!/^\d{1,18}$/.test(second)) given.refuse(`'${second}' is neither a handle nor a whole number`);
  if (operation === 'sub')
    return given.refuse('sub takes two handles; add the negative number modulo p instead');
  return { operation: plainOperations[operation], a, value: BigInt(second) };
}
