import { describe, expect, it } from 'vitest';
import { duration, Progress } from '../../../client/cli/progress.ts';

function recorded(isTTY: boolean): { progress: Progress; written: string[]; advance: (ms: number) => void } {
  const written: string[] = [];
  let now = 0;
  const stream = { write: (text: string) => written.push(text), isTTY, columns: 60 };
  return { progress: new Progress(stream, () => now, 'work'), written, advance: (ms) => (now += ms) };
}

describe('progress', () => {
  it('plain: one line per phase and one every five seconds, with the time left', () => {
    const { progress, written, advance } = recorded(false);
    progress.update('first', 0, 4);
    advance(4000);
    progress.update('first', 1, 4);
    advance(1000);
    progress.update('first', 1, 4);
    progress.update('second', 2, 4);
    progress.finish();
    expect(written).toEqual([
      'work: [........................] 0% first\n',
      'work: [######..................] 25% first, 15 s left\n',
      'work: [############............] 50% second, 5.0 s left\n',
    ]);
  });

  it('terminal: redraws one line no wider than the terminal and removes it', () => {
    const { progress, written } = recorded(true);
    progress.update('a phase with quite a long name that goes on and on', 1, 2);
    progress.finish();
    expect(written).toHaveLength(2);
    expect(written[0]?.slice(0, 11)).toBe('\r\x1b[2Kwork: ');
    expect(written[0]).toHaveLength('\r\x1b[2K'.length + 59);
    expect(written[1]).toBe('\r\x1b[2K');
  });

  it('unknown total: shows the time passed', () => {
    const { progress, written, advance } = recorded(false);
    advance(61_000);
    progress.update('waiting', 0, 0);
    expect(written).toEqual(['work: waiting, 1 min 1 s\n']);
  });

  it('duration: milliseconds, seconds, minutes', () => {
    expect([0, 999, 1000, 9949, 9950, 59_400, 200_000].map(duration)).toEqual([
      '0 ms',
      '999 ms',
      '1.0 s',
      '9.9 s',
      '10 s',
      '59 s',
      '3 min 20 s',
    ]);
  });
});
