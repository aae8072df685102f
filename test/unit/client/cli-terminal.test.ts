import { describe, expect, it } from 'vitest';
import { Interrupts, Terminal } from '../../../client/cli/terminal.ts';

function terminal(isTTY: boolean, env: Record<string, string>): Terminal {
  const stderr = { write: () => true, isTTY };
  return new Terminal({ stdout: stderr, stderr, env, nowMs: () => 0, interrupts: new Interrupts() }, false);
}

describe('terminal', () => {
  it('paint: colours only on a terminal that wants them', () => {
    expect(terminal(true, {}).paint('red', 'x')).toBe('\x1b[31mx\x1b[0m');
    expect(terminal(false, {}).paint('red', 'x')).toBe('x');
    expect(terminal(true, { NO_COLOR: '1' }).paint('red', 'x')).toBe('x');
    expect(terminal(true, { TERM: 'dumb' }).paint('red', 'x')).toBe('x');
  });
});

describe('interrupts', () => {
  it('interrupt: ends a process at once when nothing holds it off', () => {
    const interrupts = new Interrupts();
    expect(interrupts.interrupt()).toBe(true);
    expect(interrupts.interrupted).toBe(true);
  });

  it('interrupt: aborts the signal of who holds it off, and ends the process the second time', () => {
    const interrupts = new Interrupts();
    const signal = interrupts.hold();
    expect([interrupts.interrupt(), signal.aborted]).toEqual([false, true]);
    expect(interrupts.interrupt()).toBe(true);
  });
});
