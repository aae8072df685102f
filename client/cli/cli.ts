import { codeOf, KmsError } from '../../shared/errors.ts';
import { Unanswered } from '../network.ts';
import { parseArguments, UsageError } from './arguments.ts';
import { attest } from './attest.ts';
import { bench } from './bench.ts';
import type { Command } from './command.ts';
import { decrypt } from './decrypt.ts';
import { eifBuild } from './eif-build.ts';
import { eifInspect } from './eif-inspect.ts';
import { eifMeasure } from './eif-measure.ts';
import { eifSign } from './eif-sign.ts';
import { encrypt } from './encrypt.ts';
import { evaluate } from './eval.ts';
import { adviceFor, exitCodeOf, exitCodes } from './exit-code.ts';
import { helpOn, overview } from './help.ts';
import { input } from './input.ts';
import { keygen } from './keygen.ts';
import { keys } from './keys.ts';
import { net } from './net.ts';
import { netConfigApply } from './net-config-apply.ts';
import { netConfigPropose } from './net-config-propose.ts';
import { netConfigPublish } from './net-config-publish.ts';
import { netConfigShow } from './net-config-show.ts';
import { netConfigSign } from './net-config-sign.ts';
import { netGenesis } from './net-genesis.ts';
import { netGovernanceKeygen } from './net-governance-keygen.ts';
import { nodeJoin } from './node-join.ts';
import { nodeShow } from './node-show.ts';
import { type Streams, Terminal } from './terminal.ts';
import { transfer } from './transfer.ts';
import { userDecrypt } from './user-decrypt.ts';
import { userKeygen } from './user-keygen.ts';

export const commands: readonly Command[] = [
  net,
  netGovernanceKeygen,
  netGenesis,
  netConfigPropose,
  netConfigSign,
  netConfigShow,
  netConfigApply,
  netConfigPublish,
  nodeJoin,
  nodeShow,
  attest,
  keygen,
  keys,
  encrypt,
  input,
  evaluate,
  transfer,
  decrypt,
  userKeygen,
  userDecrypt,
  eifBuild,
  eifMeasure,
  eifInspect,
  eifSign,
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
    const topic = rest.filter((argument) => !argument.startsWith('-'));
    const lines = topic.length === 0 ? overview(commands) : helpOn(commandFor(topic));
    terminal.result({ help: lines.join('\n') }, lines);
    return exitCodes.ok;
  }
  const command = commandFor([name, ...rest]);
  if (rest.includes('--help') || rest.includes('-h')) {
    const lines = helpOn(command);
    terminal.result({ help: lines.join('\n') }, lines);
    return exitCodes.ok;
  }
  const own = [name, ...rest].slice(wordsOf(command).length);
  const given = parseArguments(command.name, own, command.options, command.maxPositionals);
  const { json, lines } = await command.run(given, terminal);
  terminal.result(json, lines);
  return exitCodes.ok;
}

/** The command with the longest name that these words begin with: `net config show` before `net`. */
function commandFor(words: readonly string[]): Command {
  const fitting = commands.filter((command) => wordsOf(command).every((word, i) => words[i] === word));
  const [found] = fitting.sort((a, b) => wordsOf(b).length - wordsOf(a).length);
  if (found === undefined) throw new UsageError(`there is no command '${words[0]}'`, "see 'kms help'");
  return found;
}

function wordsOf({ name }: Command): readonly string[] {
  return name.split(' ');
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
