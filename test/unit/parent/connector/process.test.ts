import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConnectorProcess } from '../../../../parent/connector/process.ts';

function runningWith(argument: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(argument);
    } catch {
      return false;
    }
  });
}

test('connector process: stopped, it has ended, and none comes after it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kms-connector-process-'));
  const logged: string[] = [];
  try {
    const connector = new ConnectorProcess({
      configFile: directory,
      log: (_, event) => void logged.push(event),
      backoff: { firstMs: 1, longestMs: 1 },
    });
    await expect.poll(() => runningWith(directory)).toHaveLength(1);
    await connector.stop();
    expect(runningWith(directory)).toEqual([]);
    expect(logged).toEqual([]);
    await connector.stop();
  } finally {
    await rm(directory, { recursive: true });
  }
});
