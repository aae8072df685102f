import { commonOptions, type Options } from './arguments.ts';
import type { Command } from './command.ts';
import { exitCodeMeanings, exitCodes } from './exit-code.ts';

const WIDTH = 100;

/** `kms`, `kms help`. */
export function overview(commands: readonly Command[]): string[] {
  return [
    'kms: threshold key management for fully homomorphic encryption (BFV)',
    '',
    'Usage: kms COMMAND [OPTIONS]',
    '',
    ...columns([...commands.map(({ name, summary }): Row => [name, summary]), ['help', 'help on a command']]),
    '',
    'A first round on one machine:',
    ...['kms net up', 'kms keygen', 'kms encrypt --value 42 -o a.ct', 'kms input a.ct'].map(
      (line) => `  ${line}`,
    ),
    ...['kms eval mul HANDLE 2', 'kms decrypt HANDLE', 'kms net down'].map((line) => `  ${line}`),
    '',
    'Exit codes:',
    ...columns(
      Object.entries(exitCodeMeanings).map(([outcome, meaning]): Row => {
        const code = Object.entries(exitCodes).find(([name]) => name === outcome)?.[1];
        return [`${code}`, meaning];
      }),
    ),
    '',
    "Every command takes --json and --help. See 'kms help COMMAND'.",
  ];
}

/** `kms help COMMAND`, `kms COMMAND --help`. */
export function helpOn(command: Command): string[] {
  const { name, summary, forms, details = [], examples = [], options } = command;
  return [
    `kms ${name}: ${summary}`,
    '',
    ...forms.map(
      (form, index) => `${index === 0 ? 'Usage:' : '      '} kms ${name}${form === '' ? '' : ` ${form}`}`,
    ),
    ...details.flatMap((paragraph) => ['', ...wrapped(paragraph, WIDTH)]),
    '',
    'Options:',
    ...columns(optionRows({ ...options, ...commonOptions })),
    ...(examples.length === 0 ? [] : ['', 'Examples:', ...examples.map((example) => `  ${example}`)]),
  ];
}

type Row = readonly [left: string, right: string];

function optionRows(options: Options): Row[] {
  return Object.entries(options).map(([name, { value, short, help, choices, default: fallback }]): Row => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    const taken = choices === undefined ? '' : `: ${choices.join(', ')}`;
    return [left, `${help}${taken}${fallback === undefined ? '' : ` (default: ${fallback})`}`];
  });
}

function columns(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.flatMap(([left, right]) =>
    wrapped(right, WIDTH - width - 4).map(
      (line, index) => `  ${(index === 0 ? left : '').padEnd(width)}  ${line}`,
    ),
  );
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
