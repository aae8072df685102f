import { Progress } from './progress.ts';

/** The streams of one run of the command line: the result on stdout, everything else on stderr. */
export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly interrupts: Interrupts;
}

/**
 * Ctrl-C ends the process at once, unless a command holds it off to clean up first: then it aborts `signal`, and the
 * command ends by itself. A second one ends the process in any case.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  #held = false;

  /** From now on the command watches the signal. */
  hold(): AbortSignal {
    this.#held = true;
    return this.#controller.signal;
  }

  /** @returns whether the process should end now */
  interrupt(): boolean {
    const again = this.#controller.signal.aborted;
    this.#controller.abort();
    return again || !this.#held;
  }

  get interrupted(): boolean {
    return this.#controller.signal.aborted;
  }
}

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green';
const sequences: Readonly<Record<Style, string>> = {
  bold: '1',
  dim: '2',
  red: '31',
  yellow: '33',
  green: '32',
};

/** Colours only on a terminal and never with NO_COLOR set (https://no-color.org). */
export class Terminal {
  readonly #streams: Streams;
  readonly #colours: boolean;
  readonly json: boolean;

  constructor(streams: Streams, json: boolean) {
    this.#streams = streams;
    this.json = json;
    this.#colours = streams.stderr.isTTY === true && !streams.env.NO_COLOR && streams.env.TERM !== 'dumb';
  }

  get env(): Streams['env'] {
    return this.#streams.env;
  }

  get interrupts(): Interrupts {
    return this.#streams.interrupts;
  }

  get nowMs(): () => number {
    return this.#streams.nowMs;
  }

  paint(style: Style, text: string): string {
    return this.#colours ? `\x1b[${sequences[style]}m${text}\x1b[0m` : text;
  }

  /** The result of the run: one JSON object, or lines for a person. */
  result(json: Readonly<Record<string, unknown>>, lines: readonly string[]): void {
    this.#streams.stdout.write(
      this.json ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join(''),
    );
  }

  /** One line beside the result. */
  note(text: string): void {
    this.#streams.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.note(`${this.paint('yellow', 'warning:')} ${text}`);
  }

  progress(title: string): Progress {
    return new Progress(this.#streams.stderr, this.#streams.nowMs, title);
  }
}
