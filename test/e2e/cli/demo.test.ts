import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ChainRecord } from '../../../infra/local/demo/chain-record.ts';
import { DEMO_STEPS } from '../../../infra/local/demo/steps.ts';
import { operationsTable, type Replayed, replay } from './chain-replay.ts';

const home = mkdtempSync(join(tmpdir(), 'kms-demo-test-'));
const entry = new URL('../../../infra/local/demo/main.ts', import.meta.url).pathname;
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What the table says leaves no event, or not each time. */
const SILENT: ReadonlySet<string> = new Set(['AccessControl.open', 'Ciphertexts.commit']);

/** The demo with a temporary directory of its own, so that what it leaves there can be seen. */
function demo(steps: string): ChildProcess {
  return spawn(process.execPath, [entry], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { PATH: process.env.PATH, TMPDIR: home, STEPS: steps },
  });
}

/** Command lines of all processes that were started with a file below `home`. */
function leftovers(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(home));
}

async function ended(child: ChildProcess): Promise<number | null> {
  const [code] = await once(child, 'exit');
  return code;
}

describe('demo', { timeout: 600_000 }, () => {
  it('run: every step is ok, the liars are named, nothing is left', async () => {
    const child = demo('');
    let [table, trouble] = ['', ''];
    child.stdout?.on('data', (text) => {
      table += text;
    });
    child.stderr?.on('data', (text) => {
      trouble = `${text}`;
    });
    expect([await ended(child), table, trouble]).toEqual([0, expect.any(String), expect.any(String)]);
    const written = JSON.parse(readFileSync(join(home, 'out/demo.json'), 'utf8'));
    expect(written).toEqual({
      committee: { n: 4, t: 1 },
      preset: 'bfv-8192',
      steps: DEMO_STEPS.map((name) => ({ name, ok: true, ms: expect.any(Number) })),
      culprits: [2, 4],
    });
    for (const name of DEMO_STEPS) expect(table).toMatch(new RegExp(`^${name} +ok `, 'm'));
    expect(leftovers()).toEqual([]);
    expect(readdirSync(home)).toEqual(['out']);
  });

  it('run: whatever happened on its chains has its events, by the table of the gateway', () => {
    const chains: readonly ChainRecord[] = JSON.parse(
      readFileSync(join(home, 'out/demo-chains.json'), 'utf8'),
    );
    const rows = operationsTable();
    const known = new Set(rows.flatMap(({ events }) => events));
    const all = chains.map(replay);
    expect(all).toHaveLength(3);
    for (const { call, events } of all.flat()) {
      for (const { name } of events) expect(known).toContain(name);
      if (call === undefined) continue;
      const name = call.split('.')[1]!;
      const contract = `${call.split('.')[0]}.*`;
      const row = rows.find(({ calls }) => calls.some((one) => [call, name, contract].includes(one)));
      expect(row, `${call} is no operation`).toBeDefined();
      if (!SILENT.has(call)) expect(events, `${call} has no event`).not.toEqual([]);
    }
    const named = (name: string): readonly Replayed[] =>
      all.flatMap((transactions) =>
        transactions.flatMap(({ events }) => events.filter((event) => event.name === name)),
      );
    const ids = (name: string): readonly string[] =>
      named(name)
        .map(({ args }) => String(args.id))
        .sort();
    // What was asked for was answered, once.
    for (const kind of ['PublicDecryption', 'UserDecryption', 'HandleTransfer']) {
      expect(ids(`${kind}Requested`).length).toBeGreaterThan(0);
      expect(ids(`${kind}Answered`)).toEqual(ids(`${kind}Requested`));
    }
    const commands = named('CommandRequested').map(({ args }) => String(Object(args.command).id));
    expect(ids('CommandActivated')).toEqual(commands.sort());
    for (const id of commands) {
      const parties = named('CommandResponse').filter(({ args }) => String(args.id) === id);
      expect(parties.length).toBeGreaterThanOrEqual(3);
    }
    expect(ids('CallbackSucceeded')).toEqual(ids('DecryptionRequested'));
    const committed = named('CiphertextCommitted').map(({ args }) => Object(args.ciphertext).handle);
    expect(committed.sort()).toEqual(
      named('Computed')
        .map(({ args }) => args.handle)
        .sort(),
    );
  });

  it.each([
    ['starting', 'keygen'],
    ['keygen', 'keygen'],
    ['decrypt-liar', 'decrypt-liar'],
  ])('Ctrl-C: while %s, leaves no process and no file', async (phase, steps) => {
    const child = demo(steps);
    const exit = ended(child);
    const { pid } = child;
    let isStopped = false;
    child.stderr?.on('data', (text) => {
      if (isStopped || pid === undefined || !`${text}`.includes(phase)) return;
      isStopped = true;
      // As a terminal does: everything in the foreground group.
      process.kill(-pid, 'SIGINT');
    });
    expect([isStopped, await exit, isStopped]).toEqual([false, 130, true]);
    expect(leftovers()).toEqual([]);
    expect(readdirSync(home).filter((name) => name !== 'out')).toEqual([]);
  });

  it('run: refuses a step that is none', async () => {
    expect(await ended(demo('nonsense'))).toBe(1);
  });
});
