import { codeOf, KmsError } from '../../shared/errors.ts';
import { Unanswered } from '../network.ts';
import { parseArguments, UsageError } from './arguments.ts';
import { bench } from './bench.ts';
import type { Command } from './command.ts';
import { decrypt } from './decrypt.ts';
import { encrypt } from './encrypt.ts';
import { evaluate } from './eval.ts';
import { adviceFor, exitCodeOf, exitCodes } from './exit-code.ts';
import { helpOn, overview } from './help.ts';
import { keygen } from './keygen.ts';
import { keys } from './keys.ts';
import { net } from './net.ts';
import { type Streams, Terminal } from './terminal.ts';
import { userDecrypt } from './user-decrypt.ts';
import { userKeygen } from './user-keygen.ts';

export const commands: readonly Command[] = [
  net,
  keygen,
  keys,
  encrypt,
  evaluate,
  decrypt,
  userKeygen,
  userDecrypt,
  bench,
];

/**
 * Runs one command line. Results go to stdout, everything else to stderr; with --json stdout is one JSON object, also
 * when the command fails.
 * @param argv arguments after the program's name
 * @returns the exit code; never throws
 */
export async function runCli(argv: readonly string[], streams: Streams): Promise<number> {
  const terminal = new Terminal(streams, argv.includes('--json'));
  try {
    return await dispatch(argv, terminal);
  } catch (error) {
    report(error, terminal);
    return streams.interrupts.interrupted ? exitCodes.interrupted : exitCodeOf(error);
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv.filter((argument, index) => index > 0 || argument !== '--json');
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const topic = rest.find((argument) => !argument.startsWith('-'));
    const lines = topic === undefined ? overview(commands) : helpOn(commandNamed(topic));
    terminal.result({ help: lines.join('\n') }, lines);
    return exitCodes.ok;
  }
  const command = commandNamed(name);
  if (rest.includes('--help') || rest.includes('-h')) {
    const lines = helpOn(command);
    terminal.result({ help: lines.join('\n') }, lines);
    return exitCodes.ok;
  }
  const given = parseArguments(command.name, rest, command.options, command.maxPositionals);
  const { json, lines } = await command.run(given, terminal);
  terminal.result(json, lines);
  return exitCodes.ok;
}

function commandNamed(name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found === undefined) throw new UsageError(`there is no command '${name}'`, "see 'kms help'");
  return found;
}

function report(error: unknown, terminal: Terminal): void {
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof UsageError ? 'USAGE' : codeOf(error);
  const culprits = error instanceof KmsError ? error.culprits : [];
  const missing = error instanceof Unanswered ? error.missing : [];
  const advice = adviceFor(error);
  if (terminal.json) {
    terminal.result(
      { error: { code, message: text, advice, culprits, missing, exitCode: exitCodeOf(error) } },
      [],
    );
    return;
  }
  terminal.note(`${terminal.paint('red', 'kms:')} ${text}`);
  if (culprits.length > 0)
    terminal.note(`     at fault: ${culprits.map((party) => `party ${party}`).join(', ')}`);
  if (advice !== undefined) terminal.note(`     ${terminal.paint('dim', advice)}`);
  if (code === 'INTERNAL' && terminal.env.KMS_DEBUG && error instanceof Error)
    terminal.note(error.stack ?? '');
}
