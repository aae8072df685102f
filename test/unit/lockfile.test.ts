import { expect, test } from 'vitest';
import { missingEntries, readLockfile } from '../../infra/build/lockfile.ts';

test('lockfile: npm ci accepts it, since every optional dependency has an entry (npm run lockfile)', () => {
  expect(missingEntries(readLockfile())).toEqual([]);
});

test('lockfile: it names no registry', () => {
  expect(JSON.stringify(readLockfile())).not.toContain('"resolved"');
});
