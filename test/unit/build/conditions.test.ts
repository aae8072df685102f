import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openPlatform } from '#platform';
import { ROOTS } from '#roots';
import { openPlatform as openNitro } from '../../../enclave/platform/nitro.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** The roots of the build that node makes under these conditions. */
function rootsUnder(...conditions: readonly string[]): string {
  const program = "import { ROOTS } from '#roots'; console.log(ROOTS.map(({ class: of }) => of).join());";
  const flags = conditions.flatMap((name) => ['-C', name]);
  const { stdout } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', program], {
    cwd: repository,
    encoding: 'utf8',
  });
  return stdout.trim();
}

describe('build conditions', () => {
  it('build conditions: without one everything is mock', async () => {
    expect(ROOTS.map(({ class: of }) => of)).toEqual(['mock']);
    expect((await openPlatform()).name).toBe('mock');
    expect(rootsUnder()).toBe('mock');
  });

  it('build conditions: node resolves each to its root', () => {
    expect(rootsUnder('kms-production')).toBe('production');
    expect(rootsUnder('kms-lab')).toBe('lab');
  });

  it('build conditions: the Nitro platform is UNAVAILABLE on a machine that is none', async () => {
    await expect(openNitro()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
