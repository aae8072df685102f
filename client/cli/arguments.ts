import { parseArgs } from 'node:util';
import { KmsError } from '../../shared/errors.ts';

/** One option of a command; boolean unless `value` names what it takes. */
export interface Option {
  /** Placeholder of the option's value in help texts, e.g. FILE. */
  readonly value?: string;
  readonly short?: string;
  readonly help: string;
  readonly default?: string;
  /** May be given more than once. */
  readonly repeatable?: true;
  /** The only values it takes. */
  readonly choices?: readonly string[];
}

export type Options = Readonly<Record<string, Option>>;

/** The command line itself is wrong; nothing was tried. */
export class UsageError extends KmsError {
  readonly advice: string;

  constructor(message: string, advice: string) {
    super('BAD_INPUT', message);
    this.advice = advice;
  }
}

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

/** Parsed and checked arguments of one command. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: Values;
  readonly #advice: string;

  /** @param advice where to read about the right usage */
  constructor(positionals: readonly string[], values: Values, advice: string) {
    this.positionals = positionals;
    this.#values = values;
    this.#advice = advice;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** An option's value, its default, or undefined. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  /** All values of a repeatable option. */
  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  }

  /** @throws {UsageError} when the option is absent */
  required(name: string): string {
    return this.text(name) ?? this.refuse(`--${name} is missing`);
  }

  /** @throws {UsageError} unless it is an integer in min..max */
  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max))
      this.refuse(`--${name} takes an integer from ${min} to ${max}, not '${text}'`);
    return value;
  }

  /** @throws {UsageError} when there are fewer */
  positional(index: number, what: string): string {
    return this.positionals[index] ?? this.refuse(`${what} is missing`);
  }

  /** @throws {UsageError} always */
  refuse(message: string): never {
    throw new UsageError(message, this.#advice);
  }
}

/** Options that every command has. */
export const commonOptions: Options = {
  json: { help: 'print one JSON object on stdout, errors too' },
  help: { short: 'h', help: 'show this help' },
};

/**
 * @param command for the advice in errors
 * @param maxPositionals arguments beyond it are refused
 * @throws {UsageError}
 */
export function parseArguments(
  command: string,
  argv: readonly string[],
  options: Options,
  maxPositionals: number,
): Arguments {
  const advice = `see 'kms ${command} --help'`;
  const all: Options = { ...options, ...commonOptions };
  const { values, positionals } = parse(argv, all, advice);
  const given = new Arguments(positionals, values, advice);
  const surplus = positionals[maxPositionals];
  if (surplus !== undefined) given.refuse(`unexpected argument '${surplus}'`);
  for (const [name, { choices }] of Object.entries(all)) {
    const value = given.text(name);
    if (choices !== undefined && value !== undefined && !choices.includes(value)) {
      given.refuse(`--${name} takes ${choices.join(', ')}, not '${value}'`);
    }
  }
  return given;
}

interface Parsed {
  readonly values: Values;
  readonly positionals: readonly string[];
}

function parse(argv: readonly string[], options: Options, advice: string): Parsed {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { value, short, default: fallback, repeatable = false }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
        multiple: repeatable,
        ...(fallback === undefined ? {} : { default: fallback }),
      },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], options: config, allowPositionals: true, strict: true });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new UsageError(text.split('. ')[0] ?? text, advice);
  }
}
