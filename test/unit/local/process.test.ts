import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive, type ProcessId, startProcess, stopProcess } from '../../../infra/local/process.ts';

const MODULE = new URL('../../../infra/local/process.ts', import.meta.url).href;

let directory = '';
let program = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-process-'));
  program = join(directory, 'program.mjs');
  const script = `import { writeFileSync } from 'node:fs'; writeFileSync(process.argv[2], 'ran'); setTimeout(() => {}, 60_000)`;
  await writeFile(program, script);
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

const file = (name: string): string => join(directory, name);

async function gone(id: ProcessId): Promise<void> {
  try {
    await expect.poll(() => isAlive(id), { timeout: 20_000 }).toBe(false);
  } finally {
    await stopProcess(id, 'SIGKILL');
  }
}

describe('processes of a local network', () => {
  it('process: it runs once it is remembered, as the one that is remembered', async () => {
    const remembered: ProcessId[] = [];
    const remember = async (id: ProcessId): Promise<void> => void remembered.push(id);
    const id = await startProcess(program, [file('first')], file('log'), { remember });
    try {
      expect(remembered).toEqual([id]);
      await expect.poll(() => existsSync(file('first')), { timeout: 20_000 }).toBe(true);
      expect(await isAlive(id)).toBe(true);
    } finally {
      await stopProcess(id);
    }
    expect(await isAlive(id)).toBe(false);
  });

  it('process: one that cannot be remembered never runs', async () => {
    let id: ProcessId | undefined;
    const remember = async (started: ProcessId): Promise<void> => {
      id = started;
      throw new Error('the disk is full');
    };
    const starting = startProcess(program, [file('second')], file('log'), { remember });
    await expect(starting).rejects.toThrow('the disk is full');
    await gone(id!);
    expect(existsSync(file('second'))).toBe(false);
  });

  it('process: one whose starter is killed before it has remembered it never runs', async () => {
    const starter = file('starter.mjs');
    const script = `
      import { writeFileSync } from 'node:fs';
      import { startProcess } from ${JSON.stringify(MODULE)};
      const remember = async (id) => {
        writeFileSync(${JSON.stringify(file('id'))}, JSON.stringify(id));
        process.kill(process.pid, 'SIGKILL');
        await new Promise(() => {});
      };
      await startProcess(${JSON.stringify(program)}, [${JSON.stringify(file('third'))}], ${JSON.stringify(file('log'))}, { remember });
    `;
    await writeFile(starter, script);
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', starter], {
      stdio: 'inherit',
    });
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    await gone(JSON.parse(await readFile(file('id'), 'utf8')));
    expect(existsSync(file('third'))).toBe(false);
  });
});
